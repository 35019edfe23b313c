import { expect, test } from "vitest";
import { describeFit, judgeFit, type ModelNeeds } from "../src/fit.ts";

const GiB = 2 ** 30;
const needs: ModelNeeds = {
  model: "llama-2-7b",
  context: 4096,
  weights: 3.5 * GiB,
  cache: 4 * GiB,
  scratch: 0.5 * GiB,
  head: 2 ** 21,
};

test.each([
  [{ memory: 8 * GiB }, "fits", "memory", undefined],
  [{ memory: 8 * GiB - 4096 }, "does not fit", "memory", 4095],
  [{ memory: 6 * GiB }, "does not fit", "memory", 2048],
  [{ memory: 4 * GiB }, "does not fit", "memory", undefined],
  [{ memory: undefined }, "unknown", "memory", undefined],
  [{ memory: undefined, binding: 2 ** 21, buffer: 2 ** 22 }, "unknown", "memory", undefined],
  [{ memory: 80 * GiB, binding: 2 ** 20, buffer: 2 ** 22 }, "does not fit", "largest binding", 2048],
  [{ memory: undefined, binding: 2 ** 22, buffer: 2 ** 19 }, "does not fit", "largest buffer", 1024],
] as const)("%j: %s, as %s says", (room, verdict, limit, positions) => {
  const fit = judgeFit(needs, room);
  expect([fit.verdict, fit.limit, fit.positions]).toEqual([verdict, limit, positions]);
  const line = describeFit(fit);
  expect(line).toMatch(
    verdict === "unknown" ? /does not tell its memory/ : limit === "memory" ? /of .* memory/ : limit,
  );
  expect(line.includes("positions would fit")).toBe(positions !== undefined);
});
