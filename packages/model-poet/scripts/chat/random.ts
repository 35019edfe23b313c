// Choices from a seed, so that the same seed makes the same dialogues everywhere: mulberry32 by Tommy Ettinger.

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** One of them. @throws where there is none */
  pick<T>(items: readonly T[]): T;
  /** One of them, each as often as its weight says. */
  weighted<T>(items: readonly (readonly [item: T, weight: number])[]): T;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new RangeError("There is nothing to choose from.");
    return items[Math.floor(next() * items.length)]!; // within the list
  };
  return {
    next,
    pick,
    weighted: (items) => {
      let left = next() * items.reduce((sum, [, weight]) => sum + weight, 0);
      return (items.find(([, weight]) => {
        left -= weight;
        return left < 0;
      }) ?? [pick(items)[0]])[0];
    },
  };
}
