// A training run of 200 steps from one seed: what the reference computes is what was recorded, and the losses of each
// backend that trains here lie within what was measured for its roundings. `npm run conformance -- --losses` records a
// run; the first steps are a run of their own, and the others are for `npm test -- --full`.

import { readFileSync } from "node:fs";
import { cpu, instructionSets } from "@polyllama/backend-cpu";
import { cuda } from "@polyllama/backend-cuda";
import { reference } from "@polyllama/backend-reference";
import type { Device } from "@polyllama/core/device";
import { describeWithEmulation, emulated } from "@polyllama/test-support/emulation";
import { full } from "@polyllama/test-support/full";
import { describe, expect, test } from "vitest";
import { measureTolerance } from "../src/comparison/tolerance.ts";
import { type GoldenLosses, goldenTolerance, lossCurve, lossSteps } from "../src/training/losses.ts";

const steps = full ? lossSteps : 20;

function golden(name: string): GoldenLosses {
  return JSON.parse(readFileSync(new URL(`../losses/${name}.json`, import.meta.url), "utf8"));
}

/** By the name of the record: other backends that train join here. */
const trained: readonly (readonly [record: string, open: () => Device])[] = instructionSets().map((instructionSet) => [
  "cpu",
  () => cpu({ instructionSet, activations: "f32", threads: 2 }),
]);

test("the reference has the recorded losses, to nine digits, and learns", async () => {
  const { losses } = golden("cpu");
  expect(losses).toHaveLength(lossSteps);
  const { data } = await lossCurve(reference(), 1, steps);
  expect([...data].map((loss) => Number(loss.toPrecision(9)))).toEqual(losses.slice(0, steps).map(([exact]) => exact));
  const [[first], [last]] = [losses[0]!, losses.at(-1)!]; // there are 200
  expect(last).toBeLessThan(first / 2);
});

describe.each(trained)("losses recorded for %s", (record, open) => {
  test(`${steps} steps lie within what its roundings allow`, () => expectLosses(record, open(), steps));
});

await describeWithEmulation("losses recorded for cpu, on cuda", (emulation) => {
  // Rounds as cpu does. The emulation takes a second for a step.
  test("20 steps lie within what its roundings allow", { timeout: 240_000 }, () =>
    expectLosses("cpu", cuda({ ...emulated(emulation), activations: "f32" }), 20),
  );
});

async function expectLosses(record: string, device: Device, steps: number): Promise<void> {
  await using opened = device;
  const { roundings } = golden(record);
  const { sources: _, ...declared } = opened.roundings;
  expect(JSON.parse(JSON.stringify(declared))).toEqual(roundings);
  const found = await lossCurve(opened, 1, steps);
  expect(measureTolerance(found, goldenTolerance(golden(record), steps))).toMatchObject({ problem: undefined });
}

test.each([
  ["without decay", { weightDecay: 0 }],
  ["with a larger epsilon", { eps: 2e-5 }],
  ["with another second moment", { beta2: 0.951 }],
  ["clipped earlier", { maxNorm: 0.9 }],
])("a run %s is found to be another one", async (_, optimizer) => {
  const found = await lossCurve(cpu({ activations: "f32", threads: 2 }), 1, 20, optimizer);
  expect(measureTolerance(found, goldenTolerance(golden("cpu"), 20)).worst).toBeGreaterThan(1);
});
