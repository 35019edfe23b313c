// A document as windows that a model has positions for: each token is predicted once, and but for the first ones from at
// least half a window of what came before it, so that models of short and of long context can be compared.

import type { PackedSequence } from "@polyllama/training";

/**
 * Windows over the tokens of a document, each a packed sequence of its own; targets that an earlier window had are -1.
 *
 * @param ids [n], from BOS on; the first one is never predicted.
 * @param length Most rows of a window.
 */
export function windowsOf(ids: readonly number[], length: number): readonly PackedSequence[] {
  const rows = ids.length - 1;
  const stride = Math.max(1, Math.floor(length / 2));
  const windows: PackedSequence[] = [];
  for (let predicted = 0; predicted < rows; ) {
    const end = Math.min(rows, predicted === 0 ? length : predicted + stride);
    const start = Math.max(0, end - length);
    const targets = Int32Array.from(ids.slice(start + 1, end + 1), (id, row) => (start + row < predicted ? -1 : id));
    windows.push({
      tokens: Int32Array.from(ids.slice(start, end)), // [T]
      targets,
      weights: Float64Array.from(targets, (id) => (id < 0 ? 0 : 1)),
      rows: [end - start],
    });
    predicted = end;
  }
  return windows;
}
