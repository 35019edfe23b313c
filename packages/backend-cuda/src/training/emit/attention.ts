// Attention within the sequences of a step, and its gradient.

import type { AttentionGradNode, AttentionNode } from "@polyllama/core";
import type { TrainingStep } from "@polyllama/planner";
import { attentionGrad } from "../../kernels/attention_grad.ts";
import { sequenceAttention } from "../../kernels/sequence_attention.ts";
import { type Emitted, placesOf, type TrainingEmission, unread } from "./emission.ts";

export function emitAttention(node: AttentionNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const given = { q: read("q"), k: read("k"), v: read("v"), bounds: e.bounds };
  return [sequenceAttention(e.rows, node, given, made("out") ?? unread(given.q, e), made("logSumExp"))];
}

export function emitAttentionGrad(node: AttentionGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const [q, k, v] = [read("q"), read("k"), read("v")];
  const of = { out: read("out"), logSumExp: read("logSumExp"), cotangent: read("cotangent") };
  const [byKey, byValue] = [made("k"), made("v")];
  const unreadKv = byKey === undefined && byValue === undefined;
  const kv = unreadKv ? undefined : { k: byKey ?? unread(k, e), v: byValue ?? unread(v, e) };
  const sums = e.scratch(2 * e.rows * node.heads);
  return attentionGrad(e.rows, node, { q, k, v, bounds: e.bounds, ...of }, sums, { q: made("q"), kv });
}
