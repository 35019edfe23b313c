// What a device says with `invariantRows`: schedulers cut the same text in other places each time, by what else there is
// to compute, and go on from prefixes that others have read. Held to the bit, with floats and with quantized weights.

import { llamaGraph } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { mustEqual } from "../must.ts";
import { random } from "../random.ts";
import { smallConfig } from "../small-config.ts";
import { memoryWeights, randomWeights } from "../weights.ts";
import type { DeviceCase } from "./case.ts";
import { logits, rowsOf, step, tokens } from "./subject.ts";

const length = 150;
/** Rows of each step: one by one, across borders of blocks, and at them. */
const cuts = [
  [...new Array<number>(7).fill(1), 60, 3, ...new Array<number>(5).fill(1), 75],
  [64, 32, 1, 53],
  [149, 1],
];

export const cutCases: readonly DeviceCase[] = (["f32", "q4_0"] as const).map((format) => ({
  name: `a row has the same bits however its sequence was cut, alone and beside others, with weights in ${format}`,
  needs: ({ features }) => (features.invariantRows ? undefined : "rows depend on how they are cut"),
  async run(device) {
    const graph = llamaGraph({ ...smallConfig, contextLength: length });
    const weights = memoryWeights(randomWeights(graph, format, random(`cuts ${format}`, 1)));
    await using subject = await loadGraph(device, graph, weights);
    const { program } = subject;
    const text = tokens(length);
    const [value] = await program.submit(step([{ tokens: text }], [{ value: "logits", rows: "all", to: "host" }]))
      .result;
    const expected = rowsOf(value);
    const pool = subject.pool(length + 32, { sequences: cuts.length + 2 });
    for (const [i, sizes] of cuts.entries()) {
      const cache = pool.open();
      let end = 0;
      for (const rows of sizes) {
        const next = text.subarray(end, end + rows);
        end += rows;
        const last = await logits(program, cache, next);
        mustEqual(last, expected[end - 1], `row ${end - 1} of cut ${i}, behind ${rows} rows`);
      }
      using prefix = cache.fork();
      prefix.truncate(96); // where blocks end on every device that has them
      const parts = [
        { cache: pool.open(), tokens: text.subarray(0, 20) },
        { cache: prefix, tokens: text.subarray(96, 140) },
        { tokens: text.subarray(0, 1) },
      ];
      const rows = rowsOf((await program.submit(step(parts)).result)[0]);
      mustEqual(rows, [expected[19], expected[139], expected[0]], `rows of one step, of cut ${i}`);
      parts[0]!.cache?.[Symbol.dispose](); // there are three
      cache[Symbol.dispose]();
    }
  },
}));
