// PyTorch's figures of a training step of stories260K, as its files have them.

import { readFileSync } from "node:fs";
import type { Tensor, WeightName } from "@polyllama/core";
import type { HostStep } from "@polyllama/core/device";

/** What PyTorch computed of a batch. */
export interface Golden {
  readonly batch: readonly { readonly ids: readonly number[]; readonly counts: readonly number[] }[];
  readonly loss: number;
  readonly norms: Readonly<Record<WeightName, number>>;
  readonly adamw: { readonly lr: number; readonly lossAndNorm: readonly (readonly [loss: number, norm: number])[] };
}

/** A batch as a step, and its loss: the mean of -log p over all counted targets. */
export function batchStep({ batch }: Pick<Golden, "batch">): {
  readonly step: HostStep;
  readonly lossOf: (logProbabilities: Tensor) => number;
  readonly cotangent: Float64Array;
} {
  const tokens = batch.flatMap(({ ids }) => ids);
  const targets = batch.flatMap(({ ids, counts }) => ids.map((_, i) => (counts[i + 1] ? ids[i + 1]! : -1)));
  const counted = targets.filter((target) => target >= 0).length;
  return {
    step: {
      inputs: { tokens: Int32Array.from(tokens), targets: Int32Array.from(targets) },
      sequences: batch.map(({ ids }) => ({ rows: ids.length })),
    },
    lossOf: ({ data }) => -[...data].reduce((sum, value) => sum + value, 0) / counted,
    cotangent: Float64Array.from(targets, (target) => (target < 0 ? 0 : -1 / counted)),
  };
}

/** What is differentiated. */
export const output = "logProbability";

/** Gradients are kept in f32: by so much of its own size each element may be off, and so by no more of their norm. */
export const stored: number = 2 ** -24;

/** The tensors of a safetensors file, all F32. */
export function readTensors(path: string): ReadonlyMap<string, Float32Array> {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header: Record<string, { readonly data_offsets: readonly [number, number] }> = JSON.parse(
    file.toString("utf8", 8, 8 + length),
  );
  return new Map(
    Object.entries(header).flatMap(([name, { data_offsets }]) => {
      if (data_offsets === undefined) return []; // metadata
      const [first, end] = data_offsets.map((offset) => file.byteOffset + 8 + length + offset) as [number, number];
      return [[name, new Float32Array(file.buffer.slice(first, end))] as const];
    }),
  );
}
