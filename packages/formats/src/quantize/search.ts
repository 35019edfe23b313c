// The search behind the K formats: for a few values that share a scale, the scale (and minimum) with a small weighted
// squared error. A candidate divides the range into slightly more or fewer steps than there are quants; its quants
// being given, the best scale and minimum follow by least squares, and so does their error, from sums alone. A better
// minimum moves the range of the candidates that follow. The candidates and the weights, which favour large values, are
// those of ggml's reference quantizers.

/** Which divisions of the range are tried: `most` steps plus `first`, and `count` more, `step` apart. */
export interface Candidates {
  /** The largest quant. */
  readonly most: number;
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

/** Scale and minimum, filled by {@link searchAffine}: values are about `scale` q - `minimum`. */
export interface Affine {
  scale: number;
  /** Never negative. */
  minimum: number;
}

const subBlock = 32;
const weights = new Float64Array(subBlock);
const weighted = new Float64Array(subBlock); // weight times value

/** Scale and minimum for the 32 values from `start` on. */
export function searchAffine(
  values: Float32Array,
  start: number,
  { most, first, step, count }: Candidates,
  result: Affine,
): void {
  let least = 0;
  let largest = values[start]!;
  let squares = 0;
  for (let i = start; i < start + subBlock; i++) {
    const x = values[i]!;
    if (x < least) least = x;
    if (x > largest) largest = x;
    squares += x * x;
  }
  result.scale = 0;
  result.minimum = -least;
  if (!(largest > least)) return;
  const typical = Math.sqrt(squares / subBlock);
  let sumW = 0;
  let sumX = 0;
  for (let i = 0; i < subBlock; i++) {
    const x = values[start + i]!;
    const w = typical + Math.abs(x);
    weights[i] = w;
    weighted[i] = w * x;
    sumW += w;
    sumX += w * x;
  }
  // Errors leave out the weighted sum of squares, which all candidates share.
  let scale = (largest - least) / most;
  let offset = least;
  let best = Infinity;
  for (let candidate = -1; candidate <= count; candidate++) {
    const inverse = (candidate < 0 ? most : most + first + step * candidate) / (largest - offset);
    const half = 0.5 - offset * inverse;
    let sumQ = 0;
    let sumQQ = 0;
    let sumXQ = 0;
    for (let i = 0; i < subBlock; i++) {
      const t = values[start + i]! * inverse + half;
      const q = t < 1 ? 0 : t > most ? most : t | 0;
      const wq = weights[i]! * q;
      sumQ += wq;
      sumQQ += wq * q;
      sumXQ += weighted[i]! * q;
    }
    let nextScale = scale;
    let nextOffset = offset;
    if (candidate >= 0) {
      const determinant = sumW * sumQQ - sumQ * sumQ;
      if (!(determinant > 0)) continue;
      nextScale = (sumW * sumXQ - sumX * sumQ) / determinant;
      nextOffset = (sumQQ * sumX - sumQ * sumXQ) / determinant;
      if (nextOffset > 0) {
        nextOffset = 0;
        nextScale = sumXQ / sumQQ;
      }
    }
    const error =
      nextScale * (nextScale * sumQQ + 2 * (nextOffset * sumQ - sumXQ)) + nextOffset * (nextOffset * sumW - 2 * sumX);
    if (error < best) {
      best = error;
      scale = nextScale;
      offset = nextOffset;
    }
  }
  result.scale = scale;
  result.minimum = -offset;
}

/**
 * The scale for `count` values from `start` on as signed quants of -`most` to `most` - 1; negative where that is
 * better.
 */
export function searchSymmetric(values: Float32Array, start: number, count: number, most: number): number {
  let extreme = 0;
  for (let i = start; i < start + count; i++) {
    const x = values[i]!;
    if (Math.abs(x) > Math.abs(extreme)) extreme = x;
  }
  if (Math.abs(extreme) < leastValue) return 0;
  for (let i = 0; i < count; i++) {
    const x = values[start + i]!;
    weights[i] = x * x;
    weighted[i] = x * x * x;
  }
  const shift = most + 0.5;
  let best = 0;
  let result = 0;
  for (let candidate = -9; candidate <= 9; candidate++) {
    const inverse = -(most + 0.1 * candidate) / extreme;
    let sumQQ = 0;
    let sumXQ = 0;
    for (let i = 0; i < count; i++) {
      const t = values[start + i]! * inverse + shift;
      const q = (t < 1 ? 0 : t >= 2 * most ? 2 * most - 1 : t | 0) - most;
      sumQQ += weights[i]! * q * q;
      sumXQ += weighted[i]! * q;
    }
    if (sumQQ > 0 && sumXQ * sumXQ > best * sumQQ) {
      result = sumXQ / sumQQ;
      best = result * sumXQ;
    }
  }
  return result;
}

/** Values below this are taken for zeros, as in ggml. */
const leastValue = 1e-15;
