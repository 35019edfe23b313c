// Central differences: what a gradient is, without any of the algebra behind it. With values at steps of h and 2 h the
// error is of the fourth order, so that float64 leaves far more digits than the check asks for.

/** Steps are powers of two, and values multiples of them or coarser, so that moved values are exact in f32, too. */
const step = 2 ** -12;

/**
 * The gradient of a function by each element of an array, which is changed in place and restored.
 *
 * @param evaluate The function at the array's present values.
 */
export async function centralDifferences(
  values: Float32Array | Float64Array,
  evaluate: () => Promise<number>,
): Promise<Float64Array> {
  const gradient = new Float64Array(values.length);
  for (const [i, value] of values.entries()) {
    const at = async (offset: number): Promise<number> => {
      values[i] = value + offset;
      return await evaluate();
    };
    const near = (await at(step)) - (await at(-step));
    const far = (await at(2 * step)) - (await at(-2 * step));
    values[i] = value;
    gradient[i] = (8 * near - far) / (12 * step);
  }
  return gradient;
}

/** Norm of the difference of two gradients, relative to the first one's. */
export function relativeDifference(gradient: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (gradient.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [difference, norm] = [0, 0];
  for (let i = 0; i < gradient.length; i++) {
    difference += (gradient[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}
