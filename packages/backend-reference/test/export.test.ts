// Parameters of the reference as a source: whatever they were loaded from, they are read as f32, in any rows and
// columns.

import { buildGraph } from "@polyllama/core";
import { expectRangesOfWhole } from "@polyllama/test-support/ranges";
import { randomSource } from "@polyllama/test-support/weights";
import { expect, test } from "vitest";
import { reference } from "../src/index.ts";

test("rows and columns of exported parameters", async () => {
  const graph = buildGraph((g) => {
    const x = g.rmsNorm("n", g.activations("x", 64), g.weight("norm", [64]), { eps: 1e-5 });
    return [g.linear("y", x, g.weight("w", [24, 64]))];
  });
  await using device = reference();
  using parameters = await device.loadParameters(
    [graph],
    randomSource(graph, () => "q4_0"),
    { mutable: true },
  );
  const source = parameters.export();
  expect([...source.weights.values()].map(({ format }) => format)).toEqual(["f32", "f32"]);
  await expectRangesOfWhole(source);
});
