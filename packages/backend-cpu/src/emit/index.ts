// Steps of the library for each kind of step of a plan.

import {
  type AddStep,
  type AttentionStep,
  type CacheStep,
  type ConvertStep,
  type EmbeddingStep,
  forStep,
  type GatherStep,
  type LinearStep,
  type NormStep,
  type PerStep,
  type PlanStep,
  type RopeStep,
  type SwigluStep,
} from "@polyllama/planner";
import type { EncodedStep } from "../native/encode.ts";
import { formatNumbers } from "../native/formats.ts";
import { unrotated } from "../native/structs.ts";
import { countOf, type Emitting, headsOf, refOf } from "./emitting.ts";

function embedding({ table: { group, firstRow }, y, ...step }: EmbeddingStep, e: Emitting): EncodedStep {
  const { format, columns } = group;
  const table = e.weights.matrix(group);
  const fields = { table, y: refOf(y, e), format: formatNumbers[format], columns, firstRow, yStride: y.buffer.stride };
  return ["embedding", { rows: countOf(step, e), ...fields }];
}

function gather({ x, y }: GatherStep, e: Emitting): EncodedStep {
  const strides = { xStride: x.buffer.stride, yStride: y.buffer.stride, width: x.width };
  return ["gather", { rows: e.selected, x: refOf(x, e), y: refOf(y, e), ...strides }];
}

function norm({ x, y, norm: { weight, eps }, ...step }: NormStep, e: Emitting): EncodedStep {
  const strides = { xStride: x.buffer.stride, yStride: y.buffer.stride, width: x.width };
  const refs = { x: refOf(x, e), y: refOf(y, e), weight: e.weights.norm(weight) };
  return ["norm", { rows: countOf(step, e), ...refs, ...strides, eps }];
}

function convert({ x, up, y, norm: normed, ...step }: ConvertStep, e: Emitting): EncodedStep {
  const fields = {
    x: refOf(x, e),
    up: up === undefined ? 0n : refOf(up, e),
    weight: normed === undefined ? 0n : e.weights.norm(normed.weight),
    y: refOf(y, e),
    xStride: x.buffer.stride,
    upStride: up?.buffer.stride ?? 0,
    yStride: y.buffer.stride,
    width: x.width,
    eps: normed?.eps ?? 0,
  };
  return ["convert", { rows: countOf(step, e), ...fields }];
}

function linear(
  { group, firstRow, matrixRows, x, converted, residual, y, ...step }: LinearStep,
  e: Emitting,
): EncodedStep {
  const fields = {
    weights: e.weights.matrix(group),
    x: refOf(x, e),
    residual: residual === undefined ? 0n : refOf(residual, e),
    y: refOf(y, e),
    format: formatNumbers[group.format],
    firstRow,
    matrixRows,
    columns: group.columns,
    xStride: x.buffer.stride,
    residualStride: residual?.buffer.stride ?? 0,
    yStride: y.buffer.stride,
    converted: converted ? 1 : 0,
  };
  return ["linear", { rows: countOf(step, e), ...fields }];
}

function rope({ rotation, x, y }: RopeStep, e: Emitting): EncodedStep {
  const strides = { xStride: x.buffer.stride, yStride: y.buffer.stride, width: x.width };
  const { headDim, offset } = rotation;
  return [
    "rope",
    { rows: e.rows, x: refOf(x, e), y: refOf(y, e), ...strides, headDim, rotation: offset, backwards: 0 },
  ];
}

function cache({ attention: own, k, kRotation, v, q }: CacheStep, e: Emitting): EncodedStep {
  const fields = {
    k: refOf(k, e),
    v: refOf(v, e),
    q: q === undefined ? 0n : refOf(q.x, e),
    rotatedQ: q === undefined ? 0n : refOf(q.y, e),
    kStride: k.buffer.stride,
    vStride: v.buffer.stride,
    qStride: q?.x.buffer.stride ?? 0,
    rotatedQStride: q?.y.buffer.stride ?? 0,
    kRotation: kRotation?.offset ?? unrotated,
    qRotation: q?.rotation.offset ?? unrotated,
  };
  return ["cache", { rows: e.rows, ...fields, ...headsOf(own, e) }];
}

function attention({ attention: own, q, y }: AttentionStep, e: Emitting): EncodedStep {
  const strides = { qStride: q.buffer.stride, yStride: y.buffer.stride };
  return ["attention", { rows: e.rows, q: refOf(q, e), y: refOf(y, e), ...strides, ...headsOf(own, e) }];
}

function add({ a, b, y, ...step }: AddStep, e: Emitting): EncodedStep {
  const strides = { aStride: a.buffer.stride, bStride: b.buffer.stride, yStride: y.buffer.stride, width: y.width };
  return ["add", { rows: countOf(step, e), a: refOf(a, e), b: refOf(b, e), y: refOf(y, e), ...strides }];
}

function swiglu({ gate, up, y, ...step }: SwigluStep, e: Emitting): EncodedStep {
  const strides = { aStride: gate.buffer.stride, bStride: up.buffer.stride, yStride: y.buffer.stride, width: y.width };
  return ["swiglu", { rows: countOf(step, e), a: refOf(gate, e), b: refOf(up, e), y: refOf(y, e), ...strides }];
}

const emitters: PerStep<[Emitting], EncodedStep> = {
  embedding,
  gather,
  norm,
  convert,
  linear,
  rope,
  cache,
  attention,
  swiglu,
  add,
};

/** What computes parts of keys apart is followed by what joins them. */
function joined(step: EncodedStep): readonly EncodedStep[] {
  return step[0] === "attention" ? [step, ["combine", step[1]]] : [step];
}

/** All steps of a plan, without those that have nothing to do. */
export function emit(steps: readonly PlanStep[], e: Emitting): readonly EncodedStep[] {
  return steps.filter((step) => countOf(step, e) > 0).flatMap((step) => joined(forStep(emitters, step, e)));
}
