// Attention: in parts of keys for single rows, in tiles for prompts.

import type { AttentionStep } from "@polyllama/planner";
import { attentionSplit } from "../kernels/attention_split.ts";
import { attentionTiles } from "../kernels/attention_tiles.ts";
import type { Launch } from "../launch.ts";
import { type Emitting, headsOf, rowsAt } from "./emitting.ts";

export function emitAttention({ attention, q, y }: AttentionStep, e: Emitting): readonly Launch[] {
  const { rows, step, partials, parts } = e;
  const heads = headsOf(attention, e);
  if (e.mode === "decode") return attentionSplit(rows, step, heads, rowsAt(q, e), partials, parts, rowsAt(y, e));
  return attentionTiles(rows, step, heads, rowsAt(q, e), rowsAt(y, e), e.weights.exponents !== undefined);
}
