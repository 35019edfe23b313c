import { expect, test } from "vitest";
import { RotationTables } from "../src/rotation-tables.ts";

const rotation = { headDim: 8, theta: 10_000, scaling: { type: "none" } } as const;

test("positions that a table has are not computed again, and it grows by at least as much as it has", async () => {
  const tables = new RotationTables();
  const first = await tables.rows(rotation, 0, 300);
  expect(first.rows).toBe(300);
  expect(await tables.rows(rotation, 0, 300)).toBe(first);
  expect(await tables.rows({ ...rotation }, 0, 1)).toBe(first);
  const grown = await tables.rows(rotation, 0, 301);
  expect(grown.rows).toBe(600);
  expect(grown.cos.subarray(0, first.cos.length)).toEqual(first.cos);
  expect(grown.sin.subarray(0, first.sin.length)).toEqual(first.sin);
  const alone = await new RotationTables().rows(rotation, 0, 600);
  expect([grown.cos, grown.sin]).toEqual([alone.cos, alone.sin]);
});

test("rows that begin elsewhere are those of the same positions", async () => {
  const tables = new RotationTables();
  const { cos, sin } = await tables.rows(rotation, 0, 200);
  const later = await tables.rows(rotation, 120, 80);
  expect(later.rows).toBe(80);
  expect([later.cos, later.sin]).toEqual([cos.subarray(120 * 4, 200 * 4), sin.subarray(120 * 4, 200 * 4)]);
  expect((await tables.rows({ ...rotation, theta: 500 }, 0, 200)).cos).not.toEqual(cos);
});
