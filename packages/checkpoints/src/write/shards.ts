// A plan of tensors in several files.

import type { FormatName } from "@polyllama/core";
import type { PlannedTensor } from "./formats.ts";

/** Tensors in their order, into as few files of at most `most` bytes as that order allows; a larger one has its own. */
export function intoShards(plan: readonly PlannedTensor[], most: number): readonly (readonly PlannedTensor[])[] {
  const shards: PlannedTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of plan) {
    if (bytes > 0 && bytes + tensor.bytes > most) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += tensor.bytes;
  }
  return shards;
}

/** Bytes of all tensors. */
export function totalBytes(plan: readonly PlannedTensor[]): number {
  return plan.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Names as Hugging Face and llama.cpp number the parts of a checkpoint. */
export function partNames(count: number, stem: string, extension: string): readonly string[] {
  const padded = (number: number): string => String(number).padStart(5, "0");
  return Array.from({ length: count }, (_, i) => `${stem}-${padded(i + 1)}-of-${padded(count)}.${extension}`);
}

/** The format of most weights. */
export function mostCommon(plan: readonly PlannedTensor[]): FormatName {
  const elements = new Map<FormatName, number>();
  for (const { source, format } of plan) {
    const count = source.shape.reduce((product, size) => product * size, 1);
    elements.set(format, (elements.get(format) ?? 0) + count);
  }
  return [...elements].sort(([, a], [, b]) => b - a)[0]?.[0] ?? "f32";
}
