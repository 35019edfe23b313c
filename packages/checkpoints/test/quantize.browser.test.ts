// Quantization in a page, where there are no threads of Node.

import { openCheckpoint, quantized } from "@polyllama/checkpoints";
import { formats, quantizeRows } from "@polyllama/formats";
import { expect, test } from "vitest";

test("a matrix of several pieces is quantized in place, to the same blocks", async () => {
  await using source = await openCheckpoint(
    "synthetic://llama-2-7b?format=f32&dim=1024&heads=8&hidden=1024&layers=1&vocab=600",
  );
  const { shape } = source.weights.get("output.weight")!;
  const values = new Float32Array(shape[0]! * shape[1]!);
  expect(values.length).toBeGreaterThan(2 * 2 ** 18); // the pieces that a pool hands out
  formats.f32.dequantize(await source.read("output.weight"), values);
  const blocks = await quantized(source, "q4_0", { threads: 4 }).read("output.weight");
  expect(blocks).toEqual(quantizeRows(values, "q4_0"));
});
