// Sequences that decode together beside one alone, through the device itself: a batch reads the weights once for all of
// its sequences. Each one's tokens must be those that it gives alone.

import { cpu } from "@polyllama/backend-cpu";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { openCheckpoint } from "@polyllama/checkpoints";
import { createSampler, llamaGraph } from "@polyllama/core";
import { cacheSpec, type Device, type Output, type Program, type SequenceCache } from "@polyllama/core/device";
import { median } from "../support.ts";

export interface BatchOptions {
  readonly backend: string;
  readonly instructionSet?: string;
  readonly threads: number;
  readonly rounds: number;
  readonly generateTokens: number;
}

const promptTokens = 32;
const draw = createSampler({ temperature: 0 }).draw!; // nothing in these options is the host's alone

/**
 * A table of speeds.
 *
 * @throws {Error} where a sequence's tokens differ from those that it gives alone
 */
export async function compareBatches(
  format: string,
  file: string,
  sizes: readonly number[],
  options: BatchOptions,
): Promise<string> {
  const { backend, rounds, generateTokens, ...rest } = options;
  await using device: Device = backend === "cpu" ? cpu(rest) : onnxruntime(rest);
  await using checkpoint = await openCheckpoint(file);
  const graph = llamaGraph(checkpoint.config);
  using parameters = await device.loadParameters([graph], checkpoint);
  const outputs = [{ value: "logits", rows: "last", to: "token" }] as const;
  await using program = await device.compile(graph, parameters, { outputs });
  const most = Math.max(...sizes);
  using pool = device.cachePool(cacheSpec(graph), { rows: promptTokens + generateTokens + 1, sequences: most });
  const caches = Array.from({ length: most }, () => pool.open());

  const alone: Int32Array[] = [];
  for (const [i, cache] of caches.entries()) {
    await program.submit({ inputs: { tokens: promptOf(i) }, sequences: [{ rows: promptTokens, cache }], outputs: [] })
      .result;
    alone.push(...(await write(program, [cache], generateTokens)).tokens);
  }
  const seconds = new Map([1, ...sizes].map((size) => [size, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [size, list] of seconds) {
      const written = await write(program, caches.slice(0, size), generateTokens);
      list.push(written.seconds);
      for (const [i, tokens] of written.tokens.entries()) {
        if (alone[i]?.join() === tokens.join()) continue;
        throw new Error(`Sequence ${i} of ${size} gave ${tokens.join(" ")}; alone ${alone[i]?.join(" ")}.`);
      }
    }
  }
  const speed = (size: number) => (size * generateTokens) / median(seconds.get(size) ?? []);
  const rows = [...seconds.keys()].map(
    (size) => `| ${format} | ${size} | ${speed(size).toFixed(1)} | ${(speed(size) / speed(1)).toFixed(2)} |`,
  );
  return [
    "| format | sequences | tok/s, all together | over one |\n|---|---|---|---|",
    ...rows,
    "tokens as alone",
  ].join("\n");
}

function promptOf(sequence: number): Int32Array {
  return Int32Array.from({ length: promptTokens }, (_, i) =>
    i === 0 ? 1 : 300 + ((i * 7919 + sequence * 104_729) % 30_000),
  );
}

/** Decodes behind the prompts, and gives each sequence's tokens. */
async function write(program: Program, caches: readonly SequenceCache[], count: number) {
  for (const cache of caches) cache.truncate(promptTokens);
  const outputs: readonly Output[] = [{ value: "logits", rows: "last", to: "token", draw: caches.map(() => draw) }];
  const sequences = caches.map((cache) => ({ rows: 1, cache }));
  const tokens = caches.map(() => new Int32Array(count));
  let given = new Int32Array(caches.length).fill(1);
  const started = performance.now();
  for (let i = 0; i < count; i++) {
    const [output] = await program.submit({ inputs: { tokens: given }, sequences, outputs }).result;
    if (output?.to !== "token") throw new Error("The step gave no tokens.");
    given = Int32Array.from(output.tokens);
    for (const [n, token] of given.entries()) tokens[n]![i] = token; // one of each sequence
  }
  return { seconds: (performance.now() - started) / 1000, tokens };
}
