// What steps of training add up while they compute: a sum goes into the op before it where nobody else reads that op's own
// result.

import { buildGraph, type Graph } from "@polyllama/core";
import { expect, test } from "vitest";
import { planTraining } from "../src/index.ts";

const addsToLinears = (op: string): boolean => op === "linear";

/** x + w x, and, where it is read twice, silu of that times w x. */
function graphOf(isReadTwice: boolean): Graph {
  return buildGraph((g) => {
    const x = g.activations("x", 4);
    const own = g.linear("own", x, g.weight("w", [4, 4]));
    const sum = g.add("sum", x, own);
    return [isReadTwice ? g.swiglu("out", sum, own) : g.swiglu("out", sum, x)];
  });
}

function opsOf(graph: Graph, asked: readonly string[]): readonly string[] {
  return planTraining(graph, new Set(asked), addsToLinears).steps.map(({ node }) => node.op);
}

test("a sum is computed with the linear before it", () => {
  const { steps } = planTraining(graphOf(false), new Set(["out"]), addsToLinears);
  expect(steps.map(({ node }) => node.op)).toEqual(["linear", "swiglu"]);
  expect(steps[0]!.results["out"]!.value).toBe("sum");
  expect(steps[0]!.residuals["out"]!.value).toBe("x");
});

test("but not where something else reads what the linear gives, or it is asked for", () => {
  expect(opsOf(graphOf(true), ["out"])).toEqual(["linear", "add", "swiglu"]);
  expect(opsOf(graphOf(false), ["out", "own"])).toEqual(["linear", "add", "swiglu"]);
});
