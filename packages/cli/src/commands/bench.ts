// `polyllama bench`: how fast a model runs here. It reads a prompt of given length and generates greedily, several
// times in one process, and prints medians. Tokens of the prompt are arbitrary: speed does not depend on what they say.

import { mostProbable } from "@polyllama/core";
import type { Command } from "commander";
import type { Sequence } from "polyllama";
import { UsageError } from "../exit.ts";
import { bytes, median, plural, seconds, speed, table } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { loadModel } from "../load.ts";
import { addModelOptions, type ModelOptions } from "../options.ts";
import { note, print, printJson } from "../terminal.ts";
import { integer } from "../values.ts";

interface Options extends ModelOptions {
  readonly promptTokens?: number;
  readonly generateTokens: number;
  readonly repeat: number;
  readonly json?: boolean;
}

export function addBench(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("bench")
    .summary("Measure tokens per second")
    .description("Measure tokens per second: medians over several runs in one process.")
    .option("--prompt-tokens <n>", "length of the prompt (default: 512, or what fits the context)", integer(1))
    .option("--generate-tokens <n>", "tokens to generate", integer(1), 64)
    .option("--repeat <n>", "runs", integer(1), 3)
    .option("--json", "print one object");
  addModelOptions(command).action((options: Options) => bench(options, interrupts));
}

async function bench(options: Options, { signal }: Interrupts): Promise<void> {
  const { generateTokens, repeat, json = false } = options;
  await using model = await loadModel(options, signal);
  const { llama, backend } = model;
  const { config, contextLength, loadSeconds } = llama;
  const room = contextLength - generateTokens;
  const promptTokens = options.promptTokens ?? Math.min(512, room);
  if (promptTokens > room || promptTokens < 1) {
    throw new UsageError(
      `${promptTokens < 1 ? "a prompt" : promptTokens} + ${generateTokens} tokens do not fit the context of ${contextLength}; ` +
        "lower --prompt-tokens or --generate-tokens",
    );
  }
  const prompt = Array.from({ length: promptTokens }, (_, i) => (i * 7919 + 1) % config.vocabSize);
  using sequence = llama.createSequence(promptTokens + generateTokens);
  await once(sequence, prompt.slice(0, 16), Math.min(4, generateTokens), signal); // first runs allocate
  const runs: { readonly prefill: number; readonly decode: number }[] = [];
  for (let i = 1; i <= repeat; i++) {
    const result = await once(sequence, prompt, generateTokens, signal);
    runs.push(result);
    if (!json) note(`run ${i} of ${repeat}: prompt ${speed(result.prefill)}, generation ${speed(result.decode)}`);
  }
  const prefill = runs.map((run) => run.prefill);
  const decode = runs.map((run) => run.decode);
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const { device, details } = backend.describe();

  if (json) {
    printJson({
      backend: backend.name,
      device,
      details,
      model: llama.checkpoint.name,
      promptTokens,
      generateTokens,
      repeat,
      loadSeconds,
      prefillTokensPerSecond: median(prefill),
      decodeTokensPerSecond: median(decode),
      peakBytes,
      runs,
    });
    return;
  }
  const range = (values: readonly number[]): string =>
    `${speed(median(values))} (${speed(Math.min(...values))} to ${speed(Math.max(...values))})`;
  const rows = [
    ["model", llama.checkpoint.name],
    ["backend", `${backend.name}: ${device}`],
    [
      "details",
      Object.entries(details)
        .map(([key, value]) => `${key} ${value}`)
        .join(", "),
    ],
    ["load", seconds(loadSeconds)],
    [`prompt of ${plural(promptTokens, "token")}`, range(prefill)],
    [`${plural(generateTokens, "token")} generated`, range(decode)],
    ["peak memory", bytes(peakBytes)],
  ];
  for (const line of table(
    rows.filter(([, value]) => value !== ""),
    [0, 1],
  ))
    print(line);
}

/** Tokens per second of reading the prompt and of generating one token at a time. */
async function once(
  sequence: Sequence,
  prompt: readonly number[],
  generateTokens: number,
  signal: AbortSignal,
): Promise<{ readonly prefill: number; readonly decode: number }> {
  sequence.truncate(0);
  const tokens = [...prompt];
  const started = performance.now();
  let logits = await sequence.continueTo(tokens, { signal }); // [V]
  const read = performance.now();
  for (let i = 0; i < generateTokens; i++) {
    tokens.push(mostProbable(logits));
    logits = await sequence.continueTo(tokens, { signal }); // [V]
  }
  const ended = performance.now();
  return { prefill: (prompt.length / (read - started)) * 1000, decode: (generateTokens / (ended - read)) * 1000 };
}
