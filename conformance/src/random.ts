// Numbers that look random and are the same everywhere: a case's inputs are a function of its address and a seed.

/** A stream of random numbers. */
export interface Random {
  /** Integer from 0 to 2^32 - 1. */
  word(): number;
  /** Real in [0, 1). */
  uniform(): number;
  /** Integer from 0 to `below` - 1. */
  integer(below: number): number;
  /** Standard normal. */
  normal(): number;
}

/** The stream that belongs to a name and a seed (32-bit: xorshift-multiply of a Weyl sequence). */
export function random(name: string, seed: number): Random {
  let state = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193);
  const word = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  };
  const uniform = (): number => word() / 2 ** 32;
  return {
    word,
    uniform,
    integer: (below) => Math.floor(uniform() * below),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}
