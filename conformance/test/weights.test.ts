// Weights that are made in memory are read as those of files are: in any rows and columns.

import { buildGraph } from "@polyllama/core";
import { tableModel } from "@polyllama/test-support/logits";
import { expectRangesOfWhole } from "@polyllama/test-support/ranges";
import { everyFormat, randomSource } from "@polyllama/test-support/weights";
import { test } from "vitest";
import { random } from "../src/random.ts";
import { memoryWeights, randomWeights } from "../src/weights.ts";

const graph = buildGraph((g) => {
  const x = g.rmsNorm("n", g.activations("x", 512), g.weight("norm", [512]), { eps: 1e-5 });
  return [g.linear("y", x, g.weight("w", [6, 512]))];
});

test.each(everyFormat)("%s", async (format) => {
  await expectRangesOfWhole(memoryWeights(randomWeights(graph, format, random("ranges", 1))));
  await expectRangesOfWhole(randomSource(graph, () => format));
});

test("a table of logits", async () => {
  await expectRangesOfWhole(tableModel(Float32Array.from({ length: 64 }, Math.sqrt), 8).source);
});
