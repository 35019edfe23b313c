// Sums of squares, AdamW, and whether what AdamW is given is finite.

import { type AdamWNode, rowCount, type SumOfSquaresNode } from "@polyllama/core";
import type { TrainingStep } from "@polyllama/planner";
import { adamW, finite } from "../../kernels/adamw.ts";
import { mostSums, sumOfSquares } from "../../kernels/sum_of_squares.ts";
import { type Emitted, elementsOf, placesOf, type TrainingEmission } from "./emission.ts";

export function emitSumOfSquares(_: SumOfSquaresNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const y = placesOf(step, e).made("out");
  if (y === undefined) return [];
  return sumOfSquares(elementsOf(step.operands["x"]!, e), e.scratch(mostSums), y.address); // the op has one
}

export function emitAdamW(node: AdamWNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const [gradient, squares, settings] = [read("gradient"), read("squares").address, read("settings").address];
  const words = rowCount(e.weights.weights.get(node.weight)!) * gradient.stride; // loaded for this graph
  const own = (role: "weight" | "firstMoment" | "secondMoment") => e.weights.floats(node[role])!.address; // f32, as `infer` has it
  const next = (role: "weight" | "firstMoment" | "secondMoment") =>
    e.inPlace(node) ? own(role) : (made(role)?.address ?? e.scratch(words));
  return [
    adamW(
      node,
      words,
      { gradient: gradient.address, squares, settings },
      { weight: own("weight"), first: own("firstMoment"), second: own("secondMoment") },
      { weight: next("weight"), first: next("firstMoment"), second: next("secondMoment") },
    ),
  ];
}

/** Sets the flag where what AdamW is given is not finite. */
export function emitFinite(steps: readonly TrainingStep[], e: TrainingEmission): Emitted {
  const looked = new Map(
    steps.flatMap(({ operands }) => Object.values(operands)).map((buffer) => [buffer.value, buffer]),
  );
  return [...looked.values()].map((buffer) => finite(elementsOf(buffer, e), e.flag));
}
