// Powers of two in fixed point, so that every backend weighs tokens with the same integers. The table is built by
// integer arithmetic alone; between its entries the value is interpolated linearly, with a relative error below 1e-6.

/** Number of a weight of one: weights are integers from 0 to `one`. */
export const one: number = 2 ** 30;

/** `exp2Table[j] = 2^30 * 2^(-j/256)`, rounded, for j from 0 to 256. */
export const exp2Table: Uint32Array<ArrayBuffer> = buildTable();

function buildTable(): Uint32Array<ArrayBuffer> {
  const bits = 120n;
  let root = 1n << (bits - 1n); // one half
  for (let i = 0; i < 8; i++) root = integerSquareRoot(root << bits); // at last 2^(-1/256)
  const entries = new Uint32Array(257);
  let power = 1n << bits;
  for (let j = 0; j <= 256; j++) {
    entries[j] = Number((power + (1n << (bits - 31n))) >> (bits - 30n));
    power = (power * root) >> bits;
  }
  return entries;
}

function integerSquareRoot(square: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(square.toString(2).length / 2));
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** `2^30 * 2^(-steps / 65536)` as an integer; `steps` is an integer from 0 to 2^31. */
export function exp2Weight(steps: number): number {
  const octaves = steps >>> 16;
  if (octaves > 30) return 0;
  const j = (steps >>> 8) & 255;
  const here = exp2Table[j]!;
  const value = here - (((here - exp2Table[j + 1]!) * (steps & 255)) >>> 8);
  return value >>> octaves;
}
