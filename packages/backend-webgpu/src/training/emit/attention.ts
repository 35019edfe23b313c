// Attention within the sequences of a step, and its gradient.

import type { AttentionGradNode, AttentionNode } from "@polyllama/core";
import { f32, struct, type TrainingStep, u32 } from "@polyllama/planner";
import { declareKernel } from "../commands.ts";
import { type Emitted, placesOf, type TrainingEmission, unread } from "./emission.ts";

const sequenceAttention = declareKernel(
  "sequence_attention",
  struct({
    group: u32, // query heads that share a key
    d2: u32, // pairs in a head
    q_stride: u32, // in pairs, as all but the next
    k_stride: u32,
    y_stride: u32,
    sum_stride: u32, // in words
    scale: f32, // log2(e) / sqrt(d)
  }),
  "rrrrww",
);

export function emitAttention(node: AttentionNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const { heads, kvHeads, headDim } = node;
  const [q, k, v] = [read("q"), read("k"), read("v")];
  const [y, sums] = [made("out") ?? unread(q, e), made("logSumExp")];
  const parameters = {
    group: heads / kvHeads,
    d2: headDim / 2,
    q_stride: q.stride / 2,
    k_stride: k.stride / 2,
    y_stride: y.stride / 2,
    sum_stride: sums?.stride ?? 0,
    scale: Math.LOG2E / Math.sqrt(headDim),
  };
  const values = { LOG_SUM_EXP: sums !== undefined };
  const resources = [q.view, k.view, v.view, e.bounds, y.view, ...(sums ? [sums.view] : [])];
  const grid = [Math.ceil(e.rows / 64), heads, 1] as const;
  const label = `attention ${node.output}`;
  return [sequenceAttention(label, values, parameters, resources, grid, e.rows * e.rows * heads * headDim)];
}

const byRow = declareKernel(
  "attention_grad_rows",
  struct({ heads: u32, d2: u32, out_stride: u32, cotangent_stride: u32, sum_stride: u32 }),
  "rrrw",
);

const strides = { q_stride: u32, k_stride: u32, v_stride: u32, cotangent_stride: u32 } as const;
const shared = { heads: u32, group: u32, d2: u32, ...strides } as const;

const byQuery = declareKernel("attention_grad_q", struct({ ...shared, y_stride: u32, scale: f32 }), "rrrrrrw");

const byKey = declareKernel(
  "attention_grad_kv",
  struct({ ...shared, k_grad_stride: u32, v_grad_stride: u32, scale: f32 }),
  "rrrrrrww",
);

export function emitAttentionGrad(node: AttentionGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const { heads, kvHeads, headDim } = node;
  const [q, k, v, out, cotangent] = [read("q"), read("k"), read("v"), read("out"), read("cotangent")];
  const sums = read("logSumExp");
  const [qGrad, kGrad, vGrad] = [made("q"), made("k"), made("v")];
  const rows = e.scratch(2 * e.rows * heads);
  const label = `attentionGrad ${node.output}`;
  const rowStrides = { q_stride: q.stride / 2, k_stride: k.stride / 2, v_stride: v.stride / 2 };
  const sizes = { heads, d2: headDim / 2, cotangent_stride: cotangent.stride / 2 };
  const common = { ...sizes, ...rowStrides, group: heads / kvHeads, scale: 1 / Math.sqrt(headDim) };
  const given = [q.view, k.view, v.view, cotangent.view, rows, e.bounds];
  const work = 2 * e.rows * e.rows * heads * headDim;
  const along = Math.ceil(e.rows / 64);
  const rowSizes = { ...sizes, out_stride: out.stride / 2, sum_stride: sums.stride };
  const kernels = [byRow(label, {}, rowSizes, [out.view, sums.view, cotangent.view, rows], [along, heads, 1])];
  if (qGrad !== undefined) {
    const parameters = { ...common, y_stride: qGrad.stride / 2 };
    kernels.push(byQuery(label, {}, parameters, [...given, qGrad.view], [along, heads, 1], work));
  }
  if (kGrad !== undefined || vGrad !== undefined) {
    const [byKeys, byValues] = [kGrad ?? unread(k, e), vGrad ?? unread(v, e)];
    const parameters = { ...common, k_grad_stride: byKeys.stride / 2, v_grad_stride: byValues.stride / 2 };
    const resources = [...given, byKeys.view, byValues.view];
    kernels.push(byKey(label, {}, parameters, resources, [along, kvHeads, 1], work));
  }
  return kernels;
}
