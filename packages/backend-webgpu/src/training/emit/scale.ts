// Multiplication by a constant, over all that a value's memory holds.

import type { ScaleNode } from "@polyllama/core";
import { f32, struct, type TrainingStep, u32 } from "@polyllama/planner";
import { declareKernel, flatGrid } from "../commands.ts";
import type { Emitted, TrainingEmission } from "./emission.ts";
import { piecesOf } from "./optimizer.ts";

const scale = declareKernel("scale", struct({ words: u32, factor: f32 }), "rw");

export function emitScale({ output, factor }: ScaleNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const [x, y] = [step.operands["x"]!, step.results["out"]]; // the op has one
  if (y === undefined) return [];
  const targets = piecesOf(y, e);
  return piecesOf(x, e).map((piece, i) => {
    const words = piece.bytes / 4;
    return scale(`scale ${output}`, {}, { words, factor }, [piece, targets[i]!], flatGrid(words)); // of one shape
  });
}
