// Wilson's interval of a share: unlike the usual one it keeps within 0 and 1, and is not empty where all or none of the
// trials succeeded (E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927).

/** Two-sided 95 % of the normal distribution. */
const z = 1.959964;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** @param trials 1 or more. */
export function wilson(successes: number, trials: number): Interval {
  const share = successes / trials;
  const scale = 1 + z ** 2 / trials;
  const centre = (share + z ** 2 / (2 * trials)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
