// Weights that cost nothing to make.

import { resolveRanges, rowCount, type WeightSource } from "@polyllama/core";
import type { Checkpoint } from "polyllama";

/**
 * The same weights again and again: a matrix repeats its first rows, so that making the weights takes less time than
 * moving them. Speed does not depend on what they are.
 */
export function tiled(checkpoint: Checkpoint): WeightSource {
  const rows = 64;
  const tiles = new Map<string, Promise<Uint8Array>>();
  return {
    name: checkpoint.name,
    weights: checkpoint.weights,
    fingerprint: async () => `${await checkpoint.fingerprint()} tiled by ${rows}`,
    async read(name, ranges, signal) {
      const info = checkpoint.weights.get(name);
      if (info === undefined || info.shape.length === 1) return checkpoint.read(name, ranges, signal);
      const { rows: wanted, columns, cutBytes: rowBytes } = resolveRanges(info, ranges);
      const { first, count } = wanted;
      const held = Math.min(rows, rowCount(info));
      const key = `${name} ${columns.first} ${columns.count}`;
      const tile = tiles.get(key) ?? checkpoint.read(name, { rows: { first: 0, count: held }, columns }, signal);
      tiles.set(key, tile);
      const source = await tile;
      const bytes = new Uint8Array(count * rowBytes);
      for (let row = 0; row < count; ) {
        const from = (first + row) % held;
        const take = Math.min(held - from, count - row);
        bytes.set(source.subarray(from * rowBytes, (from + take) * rowBytes), row * rowBytes);
        row += take;
      }
      return bytes;
    },
  };
}
