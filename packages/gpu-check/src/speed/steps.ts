// The steps that are measured: reading prompts, and continuing one sequence or several.

import { createSampler, mostProbable } from "@polyllama/core";
import type { DeviceTensor, LoadedGraph, SequenceCache } from "@polyllama/core/device";
import { warmUp } from "./tasks.ts";

/** Rows that are read at once. */
const chunk = 512;

export const lastLogits = { value: "logits", rows: "last" } as const;

/** Reads `n` arbitrary tokens into each cache, in chunks; the logits of the last come back, as for a prompt. */
export async function read(
  loaded: LoadedGraph,
  caches: readonly SequenceCache[],
  n: number,
  signal: AbortSignal,
): Promise<void> {
  const vocabSize = loaded.graph.widths.get("logits")!; // a model has them
  const most = Math.max(1, Math.floor(chunk / caches.length));
  for (let first = 0; first < n; first += most) {
    const rows = Math.min(most, n - first);
    const part = Int32Array.from({ length: rows }, (_, i) => ((first + i) * 7919 + 1) % vocabSize);
    const tokens = Int32Array.from(caches.flatMap(() => [...part]));
    const sequences = caches.map((cache) => ({ rows, cache }));
    await loaded.run({ inputs: { tokens }, sequences }, first + rows === n ? [lastLogits] : [], signal);
  }
}

/** Continues sequences together, greedily, and returns the steps per second. Logits come to the host at every step. */
export async function continueAll(
  loaded: LoadedGraph,
  caches: readonly SequenceCache[],
  steps: number,
  signal: AbortSignal,
): Promise<number> {
  let tokens = new Int32Array(caches.length).fill(1);
  const sequences = caches.map((cache) => ({ rows: 1, cache }));
  let started = performance.now();
  for (let step = -warmUp; step < steps; step++) {
    if (step === 0) started = performance.now();
    const [logits] = await loaded.run({ inputs: { tokens }, sequences }, [lastLogits], signal);
    const { data, shape } = logits!; // [sequences, V]
    tokens = tokens.map((_, i) => mostProbable(data.subarray(i * shape[1], (i + 1) * shape[1])));
  }
  return (steps * 1000) / (performance.now() - started);
}

/** Continues sequences as `Llama` does where the device chooses the tokens itself, and returns the steps per second. */
export async function generate(
  { device, program }: LoadedGraph,
  caches: readonly SequenceCache[],
  steps: number,
  signal: AbortSignal,
): Promise<number> {
  const draw = caches.map(() => createSampler({ temperature: 0 }).draw!); // nothing that needs the tokens before
  const outputs = [{ value: "logits", rows: "last", to: "token", draw }] as const;
  const sequences = caches.map((cache) => ({ rows: 1, cache }));
  const flying: Promise<unknown>[] = [];
  let [taken, started] = [0, 0];
  const take = async (): Promise<void> => {
    await flying.shift();
    if (++taken === warmUp) started = performance.now();
  };
  let tokens: Int32Array | DeviceTensor = new Int32Array(caches.length).fill(1);
  for (let step = 0; step < warmUp + steps; step++) {
    if (flying.length >= device.features.stepsAhead) await take();
    const submission = program.submit({ inputs: { tokens }, sequences, outputs }, signal);
    if (!(tokens instanceof Int32Array)) tokens[Symbol.dispose]();
    tokens = submission.tokens!; // there is an output of tokens
    flying.push(submission.result);
  }
  if (!(tokens instanceof Int32Array)) tokens[Symbol.dispose]();
  while (flying.length > 0) await take();
  return (steps * 1000) / (performance.now() - started);
}
