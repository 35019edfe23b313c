// Weights that cost nothing to make.

import { columnCount, formatBytes, rowCount, type WeightSource } from "@polyllama/core";
import type { Checkpoint } from "polyllama";

/**
 * The same weights again and again: a matrix repeats its first rows, so that making the weights takes less time than moving
 * them. Speed does not depend on what they are.
 */
export function tiled(checkpoint: Checkpoint): WeightSource {
  const rows = 64;
  const tiles = new Map<string, Promise<Uint8Array>>();
  return {
    name: checkpoint.name,
    weights: checkpoint.weights,
    fingerprint: async () => `${await checkpoint.fingerprint()} tiled by ${rows}`,
    async read(name, range, signal) {
      const info = checkpoint.weights.get(name);
      if (info === undefined || info.shape.length === 1) return checkpoint.read(name, range, signal);
      const { first, count } = range ?? { first: 0, count: rowCount(info) };
      const rowBytes = formatBytes(info.format, columnCount(info));
      const held = Math.min(rows, rowCount(info));
      const tile = tiles.get(name) ?? checkpoint.read(name, { first: 0, count: held }, signal);
      tiles.set(name, tile);
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
