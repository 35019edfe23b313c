import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { halfSplitRow, readInterleaved } from "../src/permute.ts";

describe("un-permutation", () => {
  test("pairs (2i, 2i + 1) come from rows i and d/2 + i of each head", () => {
    expect(Array.from({ length: 12 }, (_, row) => halfSplitRow(row, 6))).toEqual([
      0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11,
    ]);
  });

  test("is what Hugging Face's conversion undoes", () => {
    // view(heads, d / 2, 2, columns).transpose(1, 2), as convert_llama_weights_to_hf.py permutes.
    const [heads, d] = [3, 8];
    const stored: number[] = [];
    for (let head = 0; head < heads; head++)
      for (let half = 0; half < 2; half++) for (let i = 0; i < d / 2; i++) stored.push(head * d + 2 * i + half);
    for (let row = 0; row < heads * d; row++) expect(stored[halfSplitRow(row, d)]).toBe(row);
  });

  test("any range of rows equals the same rows of the whole, and reads little more than it needs", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(),
        fc.nat(),
        async (heads, pairs, a, b) => {
          const d = 2 * pairs;
          const rows = heads * d;
          const first = a % (rows + 1);
          const count = b % (rows - first + 1);
          const stored = new Uint8Array(rows * 2);
          for (let row = 0; row < rows; row++) stored.set([row, 255 - row], halfSplitRow(row, d) * 2);
          let read = 0;
          const result = await readInterleaved({ first, count }, d, 2, async (wanted) => {
            read = wanted.count;
            return stored.slice(wanted.first * 2, (wanted.first + wanted.count) * 2);
          });
          expect([...result]).toEqual(Array.from({ length: count }, (_, i) => [first + i, 255 - first - i]).flat());
          expect(read).toBeLessThanOrEqual(count + 2 * d);
        },
      ),
    );
  });
});
