// What is measured of models that do not fit, for which there is no time, or whose context is short.

import { expect, test } from "vitest";
import { runTask } from "../src/speed/measure.ts";
import { modelTask } from "../src/speed/tasks.ts";
import { standIn, tiny } from "./stand-in.ts";

const { signal } = new AbortController();

test("a model that does not fit is not run, and neither is what there is no time for", async () => {
  const backend = standIn();
  const small = await runTask(backend, tiny, { signal, free: 1000 });
  expect(small.measurements).toHaveLength(5);
  for (const { notRun } of small.measurements) expect(notRun).toMatch(/takes .* GiB, and .* GiB are free/);
  const late = await runTask(backend, tiny, { signal: AbortSignal.abort() });
  expect(late.measurements.map(({ notRun }) => notRun)).toEqual([
    "out of time",
    ...Array(4).fill("the model was not loaded"),
  ]);
});

test("a model of one's own is measured as far as its context reaches", async () => {
  const model = tiny.model.replace("context=64", "context=140");
  const task = { ...modelTask(model), batches: { sizes: [2], context: 20 } };
  const { measurements } = await runTask(standIn(), task, { signal, cache: "f32", tokens: 3 });
  const ran = measurements.filter(({ value }) => value !== undefined).map(({ what }) => what);
  expect(ran).toEqual(["load", "decode at 128", "batch of 2 at 20"]);
  const rest = measurements.filter(({ value }) => value === undefined);
  expect(rest.map(({ what }) => what)).toEqual(["prefill 512", "prefill 2048", "decode at 4000"]);
  for (const { notRun } of rest) expect(notRun).toMatch(/takes \d+ positions, and the context has 140/);
});
