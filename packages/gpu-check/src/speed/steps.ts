// The steps that are measured: reading a prompt, and continuing one sequence or several.

import { createSampler, type KvCache, type LlamaConfig, mostProbable, type Program } from "@polyllama/core";
import { warmUp } from "./tasks.ts";

/** Rows that are read at once. */
const chunk = 512;

/** Reads `n` arbitrary tokens in chunks; the logits of the last come back, as for a prompt. */
export async function read(
  program: Program,
  cache: KvCache,
  n: number,
  { vocabSize }: LlamaConfig,
  signal: AbortSignal,
): Promise<void> {
  for (let first = 0; first < n; first += chunk) {
    const rows = Math.min(chunk, n - first);
    const tokens = Int32Array.from({ length: rows }, (_, i) => ((first + i) * 7919 + 1) % vocabSize);
    const wanted = first + rows === n ? [{ value: "logits", rows: "last" } as const] : [];
    await program.run({ inputs: { tokens }, batch: [{ rows, cache }] }, wanted, { signal });
  }
}

/** Continues sequences together, greedily, and returns the steps per second. Logits come to the host at every step. */
export async function continueAll(
  program: Program,
  caches: readonly KvCache[],
  steps: number,
  signal: AbortSignal,
): Promise<number> {
  let tokens = new Int32Array(caches.length).fill(1);
  const batch = caches.map((cache) => ({ rows: 1, cache }));
  let started = performance.now();
  for (let step = -warmUp; step < steps; step++) {
    if (step === 0) started = performance.now();
    const [logits] = await program.run({ inputs: { tokens }, batch }, [{ value: "logits", rows: "last" }], { signal });
    const { data, shape } = logits!; // [sequences, V]
    tokens = tokens.map((_, i) => mostProbable(data.subarray(i * shape[1], (i + 1) * shape[1])));
  }
  return (steps * 1000) / (performance.now() - started);
}

/** Continues one sequence as `Llama` does where the device chooses the tokens itself, and returns the steps per second. */
export async function generate(
  program: Program,
  [cache]: readonly KvCache[],
  steps: number,
  signal: AbortSignal,
): Promise<number> {
  const sampling = createSampler({ temperature: 0 }).draw!; // nothing that needs the tokens before
  const count = warmUp + steps;
  const run = { cache: cache!, tokens: Int32Array.of(1), sampling, count };
  let [taken, started] = [0, 0];
  for await (const _ of program.sample!(run, { signal })) if (++taken === warmUp) started = performance.now();
  return (steps * 1000) / (performance.now() - started);
}
