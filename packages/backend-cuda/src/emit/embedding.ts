// Looks up rows of a table.

import type { EmbeddingStep } from "@polyllama/planner";
import { embedding } from "../kernels/embedding.ts";
import type { Launch } from "../launch.ts";
import { type Emitting, rowsAt } from "./emitting.ts";

export function emitEmbedding({ table, y }: EmbeddingStep, e: Emitting): Launch {
  return embedding(e.rows, e.step, e.weights.matrix(table.group, table.firstRow), rowsAt(y, e));
}
