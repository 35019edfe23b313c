// Values that are multiplied together, asked for in different rows.

import type { Tensor } from "@polyllama/core";
import { loadGraph, type Wanted } from "@polyllama/core/device";
import { expect, test } from "vitest";
import { webgpu } from "../src/index.ts";
import { describeWithAdapter, tinyModel } from "./support.ts";

describeWithAdapter("rows of a prompt", () => {
  test.each([
    ["layers.1.up", "logits"],
    ["layers.1.gate", "layers.1.swiglu"],
  ])("%s of all rows beside %s of the last one is what it is alone", async (all, last) => {
    const { graph, source } = tinyModel();
    await using device = await webgpu();
    await using loaded = await loadGraph(device, graph, source);
    const run = async (wanted: readonly Wanted[]): Promise<readonly Tensor[]> =>
      loaded.run({ inputs: { tokens: Int32Array.of(1, 2, 3, 4, 5) } }, wanted);
    const [alone] = await run([all]);
    const [beside] = await run([all, { value: last, rows: "last" }]);
    expect(beside!.shape).toEqual([5, 96]);
    expect([...beside!.data]).toEqual([...alone!.data]);
  });

  test("keys of all rows reach the cache beside queries of the last one", async () => {
    const { graph, source } = tinyModel();
    await using device = await webgpu();
    await using loaded = await loadGraph(device, graph, source);
    const logits = async (asked: readonly Wanted[]): Promise<readonly number[]> => {
      using pool = loaded.pool(8);
      const cache = pool.open();
      await loaded.run({ inputs: { tokens: Int32Array.of(1, 2, 3) }, sequences: [{ rows: 3, cache }] }, asked);
      const step = { inputs: { tokens: Int32Array.of(4) }, sequences: [{ rows: 1, cache }] };
      const [next] = await loaded.run(step, ["logits"]);
      return [...next!.data];
    };
    expect(await logits([{ value: "layers.1.q", rows: "last" }])).toEqual(await logits([]));
  });
});
