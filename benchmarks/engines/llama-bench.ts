// llama.cpp's own benchmark program, or that of a relative such as ik_llama.cpp, as an engine: `--peer PATH` names one
// that was built elsewhere. Each question starts it anew, and its own warm-up comes first.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface LlamaBench {
  readonly program: string;
  /** More of its own options, such as `-rtr 1`, with which ik_llama.cpp repacks weights as it loads them. */
  readonly options: readonly string[];
}

/** Tokens a second of a prompt, and of tokens generated from an empty context. */
export interface BenchFigures {
  readonly prefill: number;
  readonly decode: number;
}

export interface BenchRequest {
  readonly model: string;
  readonly threads: number;
  readonly promptTokens: number;
  readonly generateTokens: number;
}

/** @throws {Error} when it fails, or prints something else */
export async function askLlamaBench(bench: LlamaBench, request: BenchRequest): Promise<BenchFigures> {
  const { model, threads, promptTokens, generateTokens } = request;
  const numbers = ["-t", threads, "-p", promptTokens, "-n", generateTokens, "-r", 1].map(String);
  const { stdout } = await run(bench.program, ["-m", model, ...numbers, "-o", "json", ...bench.options], {
    maxBuffer: 2 ** 24,
  });
  const tests = JSON.parse(stdout) as readonly { n_prompt: number; n_gen: number; avg_ts: number }[];
  const prefill = tests.find(({ n_prompt }) => n_prompt > 0)?.avg_ts;
  const decode = tests.find(({ n_gen }) => n_gen > 0)?.avg_ts;
  if (prefill === undefined || decode === undefined) throw new Error(`${bench.program} printed no speeds:\n${stdout}`);
  return { prefill, decode };
}
