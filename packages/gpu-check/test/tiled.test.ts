// Rows and columns of weights that repeat their first rows.

import { expectRangesOfWhole } from "@polyllama/test-support/ranges";
import { openCheckpoint } from "polyllama";
import { expect, test } from "vitest";
import { tiled } from "../src/speed/tiled.ts";

test("a matrix repeats its first 64 rows, in any rows and columns", async () => {
  await using checkpoint = await openCheckpoint(
    "synthetic://llama-2-7b?dim=64&heads=4&hidden=96&layers=1&vocab=300&context=64&format=q8_0",
  );
  const source = tiled(checkpoint);
  const columns = { first: 32, count: 32 };
  const first = await checkpoint.read("output.weight", { rows: { first: 10, count: 54 }, columns });
  expect(await source.read("output.weight", { rows: { first: 74, count: 54 }, columns })).toEqual(first);
  await expectRangesOfWhole(source);
});
