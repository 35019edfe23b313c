// `npm run bench:cpu-7b`: a 7B model in Q4_0 on the cpu backend, with every position of its context of 4,096 filled:
// prefill, decode behind that, peak memory beside file + cache + 300 MB, and how long the event loop is held up. It
// ends with 1 where memory or event loop are above what they may be.
//
// `--busy` measures something else: decode while another process keeps one of the cores busy, over decode without it,
// of ours and of node-llama-cpp.

import { spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpu } from "@polyllama/backend-cpu";
import { llamaGraph, openCheckpoint } from "polyllama";
import { readArguments } from "../scripts/arguments.mjs";
import { describeMachine, now } from "./cpu/machine.ts";
import { modelFile, warm } from "./cpu/models.ts";
import { type EngineProcess, startEngine } from "./engines/process.ts";
import { installEngines, median } from "./support.ts";

const options = readArguments("npm run bench:cpu-7b", "A whole 7B on the cpu backend: speed, memory, event loop.", {
  model: { type: "string", default: "synthetic://llama-2-7b?seed=1", about: "synthetic model, without format" },
  format: { type: "string", default: "q4_0", about: "format" },
  threads: { type: "string", default: "2", about: "threads" },
  "generate-tokens": { type: "string", default: "16", about: "tokens to generate" },
  rounds: { type: "string", default: "3", about: "rounds of --busy, of which medians are taken" },
  busy: { type: "boolean", default: false, about: "decode beside another process that keeps a core busy" },
  folder: { type: "string", default: join(tmpdir(), "polyllama-bench"), about: "folder for models" },
});
const threads = Number(options.threads);
const tokens = Number(options["generate-tokens"]);
/** What the process may take beside file and cache, and how long it may hold up the event loop. */
const allowance = { bytes: 300e6, milliseconds: 20 };

console.log(describeMachine());
const { file } = await modelFile(options.folder, options.model, options.format);
await warm(file);
if (options.busy) await besideAnother();
else await wholeContext();
console.log(now());

async function wholeContext(): Promise<void> {
  await using checkpoint = await openCheckpoint(file);
  const { contextLength } = checkpoint.config;
  await using device = cpu();
  const { cache } = device.estimateMemory(llamaGraph(checkpoint.config), checkpoint.weights, contextLength);
  const fileBytes = (await stat(file)).size;
  const engine = startEngine("polyllama");
  try {
    const load = await engine.ask({ kind: "load", model: file, threads, contextLength });
    const prompt = contextLength - tokens;
    const read = await engine.ask({ kind: "prefill", tokens: prompt });
    const readDelay = await engine.ask({ kind: "delay" });
    const written = await engine.ask({ kind: "decode", tokens });
    const writtenDelay = await engine.ask({ kind: "delay" });
    const peak = (await engine.ask({ kind: "peak" })) * 2 ** 20;
    const most = fileBytes + cache + allowance.bytes;
    const verdict = (within: boolean) => (within ? "within" : "ABOVE");
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
    console.log(`loaded in ${load.toFixed(1)} s`);
    console.log(`prefill of ${prompt} tokens: ${(prompt / read).toFixed(1)} tok/s`);
    console.log(`decode up to ${contextLength} filled positions: ${(tokens / written).toFixed(2)} tok/s`);
    const parts = `file ${megabytes(fileBytes)} + cache ${megabytes(cache)} + ${megabytes(allowance.bytes)}`;
    console.log(`peak ${megabytes(peak)} MB; ${parts} = ${megabytes(most)} MB: ${verdict(peak <= most)}`);
    const late = Math.max(readDelay, writtenDelay);
    const delays = `p99 ${readDelay.toFixed(1)} ms in prefill, ${writtenDelay.toFixed(1)} ms in decode`;
    console.log(
      `event loop held up: ${delays}; ${allowance.milliseconds} ms: ${verdict(late < allowance.milliseconds)}`,
    );
    process.exitCode = peak <= most && late < allowance.milliseconds ? 0 : 1;
  } finally {
    engine.stop();
  }
}

async function besideAnother(): Promise<void> {
  installEngines();
  console.log(`| engine | decode tok/s | beside a busy core | kept |\n|---|---|---|---|`);
  for (const name of ["polyllama", "llama-cpp"] as const) {
    const engine = startEngine(name);
    try {
      await engine.ask({ kind: "load", model: file, threads, contextLength: 512 });
      const quiet: number[] = [];
      const busy: number[] = [];
      for (let round = -1; round < Number(options.rounds); round++) {
        const before = await decode(engine);
        const burner = spawn("taskset", ["-c", "0", process.execPath, "-e", "for (;;);"], { stdio: "ignore" });
        try {
          const beside = await decode(engine);
          if (burner.exitCode !== null) throw new Error("taskset, of util-linux, could not start a busy process.");
          if (round < 0) continue; // warm-up
          quiet.push(before);
          busy.push(beside);
        } finally {
          burner.kill("SIGKILL");
        }
      }
      const [without, beside] = [median(quiet), median(busy)];
      const kept = ((beside / without) * 100).toFixed(0);
      console.log(`| ${name} | ${without.toFixed(2)} | ${beside.toFixed(2)} | ${kept} % |`);
    } finally {
      engine.stop();
    }
  }
}

async function decode(engine: EngineProcess): Promise<number> {
  await engine.ask({ kind: "prefill", tokens: 16 });
  return tokens / (await engine.ask({ kind: "decode", tokens }));
}
