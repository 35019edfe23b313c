// A shuffled order that needs no memory and is the same on every machine: a Feistel network permutes the numbers of an
// even number of bits, and numbers beyond the end are permuted again until they are within.

import { OptionError } from "@polyllama/core";
import { mix32 } from "./hash.ts";

const rounds = 6;

/**
 * @param size Numbers to permute, up to 2^32.
 * @returns What stands at each place of the order.
 * @throws {OptionError}
 */
export function permutation(size: number, seed: number): (place: number) => number {
  if (!Number.isInteger(size) || size < 1 || size > 2 ** 32) {
    const expected = "an integer from 1 to 2^32";
    throw new OptionError(`A permutation of ${size} numbers must be of ${expected}.`, {
      option: "size",
      expected,
      value: size,
    });
  }
  const half = Math.max(1, Math.ceil(Math.log2(size) / 2));
  const mask = 2 ** half - 1;
  const keys = Array.from({ length: rounds }, (_, round) => mix32(mix32(seed ^ 0x9e3779b9) + round));
  const permuted = (number: number): number => {
    let left = Math.floor(number / 2 ** half);
    let right = number & mask;
    for (const key of keys) [left, right] = [right, left ^ (mix32(right ^ key) & mask)];
    return left * 2 ** half + right;
  };
  return (place) => {
    let number = permuted(place);
    while (number >= size) number = permuted(number);
    return number;
  };
}
