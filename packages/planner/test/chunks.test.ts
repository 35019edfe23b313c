import { type ChunkMode, cutChunks, fittingRows } from "@polyllama/planner";
import { describe, expect, test } from "vitest";

const modes: readonly ChunkMode<"decode" | "prefill">[] = [
  { name: "decode", sequenceRows: 1, rows: 4, sequences: 3 },
  { name: "prefill", sequenceRows: Number.POSITIVE_INFINITY, rows: 8, sequences: 3 },
];

function cut(...rows: readonly number[]): readonly string[] {
  return cutChunks(
    rows.map((count) => ({ rows: count })),
    modes,
  ).map(({ mode, rows, segments }) => {
    const parts = segments.map((s) => `${s.sequence}:${s.from}+${s.rows}@${s.first}${s.ends ? "." : ""}`);
    return `${mode} ${rows}: ${parts.join(" ")}`;
  });
}

describe("chunks", () => {
  test("have sequences of one mode, which depends on the sequence alone", () => {
    expect(cut(1, 3, 1, 2)).toEqual(["decode 2: 0:0+1@0. 2:0+1@1.", "prefill 5: 1:0+3@0. 3:0+2@3."]);
  });

  test("cut a long sequence, and go on with the next in what is left", () => {
    expect(cut(17)).toEqual(["prefill 8: 0:0+8@0", "prefill 8: 0:8+8@0", "prefill 1: 0:16+1@0."]);
    expect(cut(18, 3)).toEqual(["prefill 8: 0:0+8@0", "prefill 8: 0:8+8@0", "prefill 5: 0:16+2@0. 1:0+3@2."]);
  });

  test("end a sequence with its last row, also where that is alone", () => {
    expect(cut(9, 2)).toEqual(["prefill 8: 0:0+8@0", "prefill 3: 0:8+1@0. 1:0+2@1."]);
  });

  test("have so many sequences at most", () => {
    expect(cut(1, 1, 1, 1)).toEqual(["decode 3: 0:0+1@0. 1:0+1@1. 2:0+1@2.", "decode 1: 3:0+1@0."]);
  });

  test("have every row once, and say which is a sequence's last", () => {
    const rows = [5, 1, 9, 2, 1, 30, 8];
    const seen = new Map<string, number>();
    const ended: number[] = [];
    for (const chunk of cutChunks(
      rows.map((count) => ({ rows: count })),
      modes,
    )) {
      let filled = 0;
      for (const { sequence, first, from, rows: count, ends } of chunk.segments) {
        expect(ends).toBe(from + count === rows[sequence]);
        if (ends) ended.push(sequence);
        expect(first).toBe(filled);
        filled += count;
        for (let i = 0; i < count; i++)
          seen.set(`${sequence} ${from + i}`, (seen.get(`${sequence} ${from + i}`) ?? 0) + 1);
      }
      expect(filled).toBe(chunk.rows);
    }
    expect(seen.size).toBe(rows.reduce((sum, count) => sum + count, 0));
    expect(new Set(seen.values())).toEqual(new Set([1]));
    expect(ended.sort()).toEqual([...rows.keys()]);
  });

  test("fit a buffer, by one row at least", () => {
    expect([fittingRows(128, 100, 1000), fittingRows(8, 100, 1000), fittingRows(8, 5000, 1000)]).toEqual([10, 8, 1]);
  });
});
