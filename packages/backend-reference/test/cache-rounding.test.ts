// Caches in q8_0: what is kept of a value, and which heads are refused.

import { describe, expect, test } from "vitest";
import { cacheRounding } from "../src/cache-rounding.ts";
import { reference } from "../src/index.ts";

/** What is kept of 32 values that begin with the given ones. */
function kept(...values: readonly number[]): Float64Array {
  const rows = Float64Array.of(...values, ...new Array<number>(32 - values.length).fill(0));
  cacheRounding("q8_0")?.(rows);
  return rows;
}

describe("a cache in q8_0", () => {
  test("keeps multiples of the largest size / 127, ties to even", () => {
    expect([...kept(-127, 1, 0.4, 0.6, 0.5, 1.5, -2.5).subarray(0, 7)]).toEqual([-127, 1, 0, 1, 0, 2, -2]);
  });

  test("rounds the scale to f16", () => {
    const scale = 1 / 127 - (((1 / 127) * 2 ** 17) % 1) / 2 ** 17; // 11 bits of 2^-7 and less
    const next = Math.abs(1 / 127 - scale) <= 2 ** -18 ? scale : scale + 2 ** -17;
    expect(kept(1, 0.5)[0]).toBe(127 * next);
  });

  test("has a scale for each 32 values, and keeps none of what is too small for one", () => {
    const rows = new Float64Array(64).fill(127, 0, 32).fill(254, 32, 64);
    rows[0] = 1;
    rows[32] = 1;
    cacheRounding("q8_0")?.(rows);
    expect([rows[0], rows[1], rows[32], rows[33]]).toEqual([1, 127, 0, 254]);
    expect([...kept(1e-7, -1e-6)].some((value) => value !== 0)).toBe(false);
  });

  test("takes heads of a multiple of 32", async () => {
    await using device = reference();
    const pool = (headDim: number) => device.cachePool([{ kvHeads: 1, headDim }], { rows: 1, format: "q8_0" });
    expect(pool(64).format).toBe("q8_0");
    expect(() => pool(48)).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED", format: "q8_0" }));
  });
});
