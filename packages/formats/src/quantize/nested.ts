// What Q4_K and Q5_K share: eight sub-blocks of 32 with scales and minimums of 6 bits under two binary16 factors. They
// are searched for first, then rounded, and the quants follow from the rounded ones.

import { f16Table, numberToF16 } from "../float.ts";
import { type Affine, type Candidates, searchAffine } from "./search.ts";

const subBlock = 32;
const scales = new Float64Array(8);
const minimums = new Float64Array(8);
const found: Affine = { scale: 0, minimum: 0 };

/** Writes the first 16 bytes of the block at `out` (factors, scales, minimums) and the quants of the 256 values. */
export function quantizeNested(
  values: Float32Array,
  start: number,
  candidates: Candidates,
  output: Uint8Array,
  out: number,
  quants: Uint8Array,
): void {
  const { most } = candidates;
  let largestScale = 0;
  let largestMinimum = 0;
  for (let j = 0; j < 8; j++) {
    searchAffine(values, start + j * subBlock, candidates, found);
    scales[j] = found.scale;
    minimums[j] = found.minimum;
    largestScale = Math.max(largestScale, found.scale);
    largestMinimum = Math.max(largestMinimum, found.minimum);
  }
  const d = numberToF16(Math.fround(largestScale / 63));
  const dmin = numberToF16(Math.fround(largestMinimum / 63));
  output[out] = d;
  output[out + 1] = d >> 8;
  output[out + 2] = dmin;
  output[out + 3] = dmin >> 8;
  const scaleSteps = largestScale > 0 ? 63 / largestScale : 0;
  const minimumSteps = largestMinimum > 0 ? 63 / largestMinimum : 0;
  output.fill(0, out + 4, out + 16);
  for (let j = 0; j < 8; j++) {
    const scale = (scales[j]! * scaleSteps + 0.5) | 0;
    const minimum = (minimums[j]! * minimumSteps + 0.5) | 0;
    putSixBits(output, out + 4, j, scale, minimum);
    const s = f16Table[d]! * scale;
    const m = f16Table[dmin]! * minimum;
    const inverse = s > 0 ? 1 / s : 0;
    for (let i = j * subBlock; i < j * subBlock + subBlock; i++) {
      const t = (values[start + i]! + m) * inverse + 0.5;
      quants[i] = Math.max(0, Math.min(most, t));
    }
  }
}

/** The counterpart of `q4kScale` and `q4kMinimum`; the bytes must be zeros before. */
function putSixBits(output: Uint8Array, at: number, j: number, scale: number, minimum: number): void {
  if (j < 4) {
    output[at + j] = scale;
    output[at + 4 + j] = minimum;
  } else {
    output[at + 4 + j] = (scale & 15) | ((minimum & 15) << 4);
    output[at + j - 4]! |= (scale >> 4) << 6;
    output[at + j]! |= (minimum >> 4) << 6;
  }
}
