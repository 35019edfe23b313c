// Rows as the card has them, so many words apart, from and to the host's, which follow each other.

import type { HostArray } from "@polyllama/core/device";

/** Rows of so many columns, so many words apart, with zeros between. */
export function toRows(data: HostArray, columns: number, stride: number): Float32Array<ArrayBuffer> {
  if (stride === columns) return Float32Array.from(data);
  const words = new Float32Array((data.length / columns) * stride);
  for (let from = 0, to = 0; from < data.length; from += columns, to += stride) {
    words.set(data.subarray(from, from + columns), to);
  }
  return words;
}

/** The inverse of {@link toRows}. */
export function fromRows(words: Float32Array<ArrayBuffer>, columns: number, stride: number): Float32Array<ArrayBuffer> {
  if (stride === columns) return words;
  const data = new Float32Array((words.length / stride) * columns);
  for (let from = 0, to = 0; from < words.length; from += stride, to += columns) {
    data.set(words.subarray(from, from + columns), to);
  }
  return data;
}
