// What device cases work on: the lifecycle suite's small model, loaded on a device, and the steps that the cases submit.

import { createSampler, type DrawOptions } from "@polyllama/core";
import {
  type CachePool,
  cacheSpec,
  type Device,
  type DeviceTensor,
  type Draw,
  type Output,
  type OutputValue,
  type Parameters,
  type Program,
  type SequenceCache,
  type Step,
} from "@polyllama/core/device";
import { model, tokens } from "../lifecycle/subject.ts";
import { must } from "../must.ts";

export { tokens } from "../lifecycle/subject.ts";

/** A loaded model. */
export interface Subject extends AsyncDisposable {
  readonly device: Device;
  readonly parameters: Parameters;
  readonly program: Program;
  /** A pool with room for so many sequences of so many positions. */
  pool(rows: number, sequences?: number): CachePool;
}

export async function load(device: Device): Promise<Subject> {
  const { graph, weights } = model();
  const parameters = await device.loadParameters([graph], weights);
  const program = await device.compile(graph, parameters);
  const pools: CachePool[] = [];
  return {
    device,
    parameters,
    program,
    pool(rows, sequences = 1) {
      const pool = device.cachePool(cacheSpec(graph), { rows, sequences });
      pools.push(pool);
      return pool;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      for (const pool of pools) pool[Symbol.dispose]();
      parameters[Symbol.dispose]();
    },
  };
}

/** Draws the most probable token. */
export const greedy: DrawOptions = createSampler({ temperature: 0, seed: 1 }).draw!; // nothing in these options is the host's alone

export const lastLogits: Output = { value: "logits", rows: "last", to: "host" };

/** A step of sequences that advance by some tokens each. */
export function step(
  sequences: readonly { readonly cache?: SequenceCache; readonly tokens: Int32Array }[],
  outputs: readonly Output[] = [lastLogits],
): Step {
  const all = sequences.flatMap(({ tokens: each }) => [...each]);
  return {
    inputs: { tokens: Int32Array.from(all) },
    sequences: sequences.map(({ cache, tokens: each }) => ({ rows: each.length, ...(cache && { cache }) })),
    outputs,
  };
}

/** One row for each sequence, whose tokens may lie on the device. */
export function decode(
  inputs: Int32Array | DeviceTensor,
  caches: readonly SequenceCache[],
  outputs: readonly Output[],
): Step {
  return { inputs: { tokens: inputs }, sequences: caches.map((cache) => ({ rows: 1, cache })), outputs };
}

/** A token for each sequence. */
export function draws(count: number, draw: Draw = greedy): Output {
  return { value: "logits", rows: "last", to: "token", draw: new Array<Draw>(count).fill(draw) };
}

/** Rows of a value on the host. */
export function rowsOf(value: OutputValue | undefined): readonly (readonly number[])[] {
  must(value?.to === "host", "a value for the host");
  const [rows, width] = value.tensor.shape;
  return Array.from({ length: rows }, (_, i) => Array.from(value.tensor.data.subarray(i * width, (i + 1) * width)));
}

export function tokensOf(value: OutputValue | undefined): readonly number[] {
  must(value?.to === "token", "drawn tokens");
  return [...value.tokens];
}

/** Logits [V] of the last row when a cache advances by some tokens. */
export async function logits(program: Program, cache: SequenceCache, given: Int32Array): Promise<readonly number[]> {
  const [value] = await program.submit(step([{ cache, tokens: given }])).result;
  return rowsOf(value)[0]!; // of one sequence
}

/** Different prompts of different lengths. */
export function prompts(count: number): readonly Int32Array[] {
  return Array.from({ length: count }, (_, i) => tokens(3 + 2 * i).map((token) => (token + 5 * i) % 97));
}
