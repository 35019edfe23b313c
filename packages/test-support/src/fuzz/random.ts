// A small generator of random numbers with a seed, so that any input can be made again from its number: sfc32 by Chris
// Doty-Humphrey, seeded by a hash of a text.

export interface Random {
  /** From 0 to 2^32 - 1. */
  u32(): number;
  /** From 0 to `count` - 1. */
  below(count: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
}

export function randomOf(seed: string): Random {
  let [a, b, c, counter] = [hash(seed, 1), hash(seed, 2), hash(seed, 3), 1];
  const u32 = (): number => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    return result >>> 0;
  };
  for (let i = 0; i < 12; i++) u32();
  const below = (count: number): number => Math.floor((u32() / 2 ** 32) * count);
  return {
    u32,
    below,
    chance: (probability) => u32() < probability * 2 ** 32,
    pick: (items) => items[below(items.length)]!,
  };
}

/** FNV-1a with a start of its own. */
function hash(text: string, start: number): number {
  let state = 0x811c9dc5 ^ Math.imul(start, 0x9e3779b1);
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return state | 0;
}
