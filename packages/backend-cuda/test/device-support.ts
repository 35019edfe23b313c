// A small model on the emulated card as a device, for tests of steps and of pools.

import { createSampler, type LlamaConfig, llamaGraph, type SamplingOptions, type WeightSource } from "@polyllama/core";
import {
  type CachePool,
  cacheSpec,
  type Device,
  type DeviceTensor,
  type Draw,
  type Output,
  type OutputValue,
  type Program,
  type SequenceCache,
  type Submission,
} from "@polyllama/core/device";
import type { SharedParameters } from "@polyllama/planner";
import type { Emulation } from "../emulation/build.ts";
import { type CudaOptions, cuda } from "../src/index.ts";
import type { LoadedWeights } from "../src/weights/loaded.ts";
import { emulated } from "./support.ts";

export { tokensOf } from "@polyllama/test-support/drawn";

export const config: LlamaConfig = {
  dim: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  hiddenDim: 48,
  vocabSize: 48,
  contextLength: 2048,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
};

export const graph: ReturnType<typeof llamaGraph> = llamaGraph(config);

/** f32 weights from a formula; logits differ clearly from row to row. */
export const source: WeightSource = {
  name: "formula",
  weights: new Map(graph.weights.map(({ name, shape }) => [name, { name, shape, format: "f32" as const }])),
  async read(name, { rows } = {}) {
    const { shape } = this.weights.get(name)!;
    const columns = shape.at(-1)!;
    const { first, count } = rows ?? { first: 0, count: shape.length === 1 ? 1 : shape[0]! };
    const values = Float32Array.from({ length: count * columns }, (_, i) =>
      shape.length === 1 ? 1 : Math.sin((first * columns + i) * 1.7 + name.length * 3) / 3,
    );
    return new Uint8Array(values.buffer);
  },
  fingerprint: async () => "",
};

/** A device with the model's program, and what it takes to run steps of it. */
export interface Subject {
  readonly device: Device;
  readonly program: Program;
  readonly weights: LoadedWeights;
  pool(rows: number, sequences?: number): CachePool;
}

export async function withDevice<T>(
  emulation: Emulation,
  use: (subject: Subject) => Promise<T>,
  options: CudaOptions = {},
): Promise<T> {
  emulation.control.reset();
  await using device = cuda({ ...emulated(emulation), ...options });
  using parameters = await device.loadParameters([graph], source);
  await using program = await device.compile(graph, parameters);
  const { storage } = parameters as SharedParameters<LoadedWeights>; // as this device makes them
  const pool = (rows: number, sequences = 1): CachePool =>
    device.cachePool(cacheSpec(graph), { rows, sequences, format: "f32" });
  return await use({ device, program, weights: storage, pool });
}

/** `count` tokens, others for each seed. */
export function tokens(count: number, seed = 0): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 31 + seed * 17 + 7) % config.vocabSize);
}

// nothing in these options is the host's alone
export const greedy: Draw = createSampler({ temperature: 0, seed: 1 }).draw!;

export function drawOf(options: SamplingOptions): Draw {
  return createSampler(options).draw!; // tests give no options that are the host's alone
}

export const lastLogits: Output = { value: "logits", rows: "last", to: "host" };

/** Submits a step of sequences with their caches. */
export function submit(
  program: Program,
  sequences: readonly { readonly cache?: SequenceCache; readonly tokens: Int32Array }[],
  outputs: readonly Output[],
  signal?: AbortSignal,
): Submission {
  const joined = Int32Array.from(sequences.flatMap((sequence) => [...sequence.tokens]));
  const rows = sequences.map(({ cache, tokens }) => ({ rows: tokens.length, ...(cache && { cache }) }));
  return program.submit({ inputs: { tokens: joined }, sequences: rows, outputs }, signal);
}

/** One row for each of the caches, of tokens that are on the card. */
export function submitDrawn(
  program: Program,
  drawn: DeviceTensor,
  caches: readonly SequenceCache[],
  outputs: readonly Output[],
): Submission {
  return program.submit({ inputs: { tokens: drawn }, sequences: caches.map((cache) => ({ rows: 1, cache })), outputs });
}

/** Rows of a value that came to the host. */
export function rowsOf(value: OutputValue | undefined): readonly Float32Array[] {
  if (value?.to !== "host") throw new Error("no rows came to the host");
  const { data, shape } = value.tensor;
  return Array.from({ length: shape[0] }, (_, i) => Float32Array.from(data.subarray(i * shape[1], (i + 1) * shape[1])));
}
