// Attention: in parts of keys for single rows, in tiles for prompts.

import type { AttentionStep } from "@polyllama/planner";
import { attentionSplit } from "../kernels/attention_split.ts";
import { attentionTiles } from "../kernels/attention_tiles.ts";
import type { Launch } from "../launch.ts";
import type { Emitting } from "./emitting.ts";

export function emitAttention({ attention, q, y }: AttentionStep, e: Emitting): readonly Launch[] {
  const { rows, step, partials, parts } = e.chunk;
  const heads = e.heads(attention);
  if (e.mode === "decode") return attentionSplit(rows, step, heads, e.at(q), partials, parts, e.at(y));
  return attentionTiles(rows, step, heads, e.at(q), e.at(y), e.weights.exponents !== undefined);
}
