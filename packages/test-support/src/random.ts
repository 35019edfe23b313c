// Numbers from a seed, the same everywhere: mulberry32 by Tommy Ettinger.

/** Numbers in [0, 1). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Numbers in [-1, 1). */
export function signed(seed: number): () => number {
  const next = uniform(seed);
  return () => 2 * next() - 1;
}
