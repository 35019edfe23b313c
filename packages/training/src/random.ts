// Random numbers of a run, from a seed alone, so that a run begins and goes on with the same ones everywhere.

/** 32-bit numbers of a seed: splitmix32, the generator of MurmurHash3's finalizer over a counter. */
function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let word = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return (word ^ (word >>> 16)) >>> 0;
  };
}

/** A seed made of several numbers, such as a run's and an epoch's. */
export function joinSeeds(...seeds: readonly number[]): number {
  return seeds.reduce((joined, seed) => randomWords(joined ^ randomWords(seed)())(), 0);
}

/** Numbers from 0 up to `count` in an order of the seed's (Fisher and Yates). */
export function shuffled(count: number, seed: number): Uint32Array {
  const next = randomWords(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((next() / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!]; // both within the list
  }
  return order;
}

/** Normally distributed numbers of variance 1 (Box and Muller). */
export function normals(seed: number): () => number {
  const next = randomWords(seed);
  let spare: number | undefined;
  return () => {
    const kept = spare;
    spare = undefined;
    if (kept !== undefined) return kept;
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / (2 ** 32 + 1)));
    const angle = (2 * Math.PI * next()) / 2 ** 32;
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
