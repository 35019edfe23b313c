// Steps of the library for each op of a training plan. What ops have in common is little, so that each says itself where
// its operands are; what takes the place of a fused kernel is several steps behind one another.

import {
  byOp,
  type LogProbabilityGradNode,
  type LogProbabilityNode,
  type Node,
  type PerNode,
  rowCount,
  type WeightName,
} from "@polyllama/core";
import { isPerRow, type PlacedRotation, type TrainingBuffer, type TrainingStep } from "@polyllama/planner";
import { groupRows } from "../modes.ts";
import type { EncodedStep } from "../native/encode.ts";
import { formatNumbers } from "../native/formats.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { strideOf, wordsOf } from "./layout.ts";

/** What emitters know of a step. */
export interface TrainingEmitting {
  /** N */
  readonly rows: number;
  readonly weights: LoadedWeights;
  /** Where a value is. */
  refOf(buffer: TrainingBuffer): bigint;
  /** A rotation's place among those of the step. */
  rotation(node: Extract<Node, { op: "rope" }>): PlacedRotation;
  /** Memory of use within one op alone. */
  scratch(words: number): bigint;
  /** Where the new values of weights go instead of their buffers; undefined where they are values like others. */
  inPlace(node: Node): boolean;
}

type Emitted = readonly EncodedStep[];
type Emitter = [step: TrainingStep, e: TrainingEmitting];

/** Logits of a piece of the vocabulary that stand in memory at once. */
const pieceWords = 2 << 20;

/** Operands and results of a step as kernels are told of them. */
function placesOf({ operands, results, residuals }: TrainingStep, e: TrainingEmitting) {
  const place = (from: Readonly<Record<string, TrainingBuffer>>) => (role: string) => {
    const buffer = from[role];
    return buffer === undefined ? { ref: 0n, stride: 0 } : { ref: e.refOf(buffer), stride: strideOf(buffer) };
  };
  return { read: place(operands), made: place(results), added: place(residuals) };
}

function operandOf({ operands }: TrainingStep, role: string): TrainingBuffer {
  return operands[role]!; // one for each of the op's
}

function resultOf({ results }: TrainingStep, role: string): TrainingBuffer {
  return results[role]!; // the op has no other, and somebody reads it
}

/** A matrix in groups, some rows of it. */
interface Matrix {
  readonly weights: bigint;
  readonly format: number;
  readonly firstRow: number;
  readonly matrixRows: number;
  readonly columns: number;
}

/** A weight as it is stored. */
function matrixOf(name: WeightName, { weights }: TrainingEmitting): Matrix {
  const { group, firstRow } = weights.layout.places.get(name)!; // assertPlaced saw it
  const info = weights.weights.get(name)!; // likewise
  return {
    weights: weights.matrix(group),
    format: formatNumbers[group.format],
    firstRow,
    matrixRows: rowCount(info),
    columns: group.columns,
  };
}

/** x [N, columns] times a matrix, y [N, matrixRows]. */
interface Product {
  readonly x: { readonly ref: bigint; readonly stride: number };
  readonly y: { readonly ref: bigint; readonly stride: number };
  readonly residual?: { readonly ref: bigint; readonly stride: number };
}

function linearStep(matrix: Matrix, { x, y, residual }: Product, rows: number): EncodedStep {
  const strides = { xStride: x.stride, residualStride: residual?.stride ?? 0, yStride: y.stride };
  return ["linear", { rows, ...matrix, x: x.ref, residual: residual?.ref ?? 0n, y: y.ref, ...strides, converted: 0 }];
}

/** x [N, matrixRows] times a matrix from the other side, y [N, columns]: a product with its transpose. */
function inputGradSteps(matrix: Matrix, product: Product, e: TrainingEmitting): Emitted {
  const y = e.scratch(Math.ceil(matrix.columns / groupRows) * groupRows * matrix.matrixRows);
  const { matrixRows: columns, columns: matrixRows } = matrix;
  const transposed = { weights: y, format: formatNumbers.f32, firstRow: 0, matrixRows, columns };
  return [["transpose", { rows: 1, ...matrix, y }], linearStep(transposed, product, e.rows)];
}

/** Pieces of the vocabulary: whole groups of rows. */
function pieces(vocabSize: number, rows: number): readonly { readonly first: number; readonly count: number }[] {
  const most = Math.max(8 * groupRows, Math.floor(pieceWords / rows / groupRows) * groupRows);
  const count = Math.ceil(vocabSize / most);
  const each = Math.ceil(vocabSize / count / groupRows) * groupRows;
  return Array.from({ length: Math.ceil(vocabSize / each) }, (_, i) => {
    return { first: i * each, count: Math.min(each, vocabSize - i * each) };
  });
}

function logProbability(node: LogProbabilityNode, step: TrainingStep, e: TrainingEmitting): Emitted {
  const { read, made } = placesOf(step, e);
  const matrix = matrixOf(node.weight, e);
  const all = pieces(matrix.matrixRows, e.rows);
  const xStride = Math.ceil(all[0]!.count / groupRows) * groupRows; // there is a piece
  const logits = { ref: e.scratch(xStride * e.rows), stride: xStride };
  const state = e.scratch(4 * e.rows);
  return all.flatMap(({ first, count }, i): Emitted => {
    const piece = { ...matrix, firstRow: matrix.firstRow + first, matrixRows: count };
    const sum = {
      rows: e.rows,
      x: logits.ref,
      targets: read("targets").ref,
      state,
      y: made("out").ref,
      logSumExp: made("logSumExp").ref,
      xStride,
      width: count,
      first,
      begins: i === 0 ? 1 : 0,
      ends: i === all.length - 1 ? 1 : 0,
      scale: 1 / node.temperature,
    };
    return [linearStep(piece, { x: read("x"), y: logits }, e.rows), ["logSumExp", sum]];
  });
}

function logProbabilityGrad(node: LogProbabilityGradNode, step: TrainingStep, e: TrainingEmitting): Emitted {
  const { read, made, added } = placesOf(step, e);
  const matrix = matrixOf(node.weight, e);
  const all = pieces(matrix.matrixRows, e.rows);
  const xStride = Math.ceil(all[0]!.count / groupRows) * groupRows; // there is a piece
  const logits = { ref: e.scratch(xStride * e.rows), stride: xStride };
  const [x, y, gradient] = [read("x"), made("x"), made("weight")];
  const transposedWords = Math.ceil(matrix.columns / groupRows) * groupRows * all[0]!.count; // likewise
  const transposed = y.ref === 0n ? 0n : e.scratch(transposedWords);
  return all.flatMap(({ first, count }, i): Emitted => {
    const piece = { ...matrix, firstRow: matrix.firstRow + first, matrixRows: count };
    const softmax = {
      rows: e.rows,
      x: logits.ref,
      targets: read("targets").ref,
      logSumExp: read("logSumExp").ref,
      cotangent: read("cotangent").ref,
      xStride,
      width: count,
      first,
      scale: 1 / node.temperature,
    };
    const steps: EncodedStep[] = [linearStep(piece, { x, y: logits }, e.rows), ["softmaxGrad", softmax]];
    if (gradient.ref !== 0n) {
      const offset = 4n * BigInt(first * matrix.columns);
      const residual = added("weight").ref;
      steps.push(
        weightGradStep(
          { x, cotangent: logits, y: gradient.ref + offset, residual: residual === 0n ? 0n : residual + offset },
          { matrixRows: count, columns: matrix.columns },
          e.rows,
        ),
      );
    }
    if (y.ref !== 0n) {
      const { columns } = matrix;
      const flipped = {
        weights: transposed,
        format: formatNumbers.f32,
        firstRow: 0,
        matrixRows: columns,
        columns: count,
      };
      const residual = i === 0 ? added("x") : y; // pieces are added up
      steps.push(["transpose", { rows: 1, ...piece, y: transposed }]);
      steps.push(linearStep(flipped, { x: logits, y, residual }, e.rows));
    }
    return steps;
  });
}

/** Operands of {@link weightGradStep}. */
interface WeightGradient {
  readonly x: { readonly ref: bigint; readonly stride: number };
  readonly cotangent: { readonly ref: bigint; readonly stride: number };
  readonly y: bigint;
  readonly residual: bigint;
}

function weightGradStep(
  { x, cotangent, y, residual }: WeightGradient,
  size: Pick<Matrix, "matrixRows" | "columns">,
  rows: number,
): EncodedStep {
  const refs = { x: x.ref, cotangent: cotangent.ref, residual, y };
  return ["weightGrad", { rows, ...refs, xStride: x.stride, cotangentStride: cotangent.stride, ...size }];
}

/** A value that has no rows of a step as one row. */
function flat(buffer: TrainingBuffer, e: TrainingEmitting): { rows: number; width: number; stride: number } {
  const words = wordsOf(buffer, e.rows);
  if (!isPerRow(buffer)) return { rows: 1, width: words, stride: words };
  return { rows: e.rows, width: buffer.width, stride: strideOf(buffer) };
}

const emitters: PerNode<Emitter, Emitted> = {
  embedding(node, step, e) {
    const { made } = placesOf(step, e);
    const { weights: table, format, columns, firstRow } = matrixOf(node.table, e);
    const y = made("out");
    return [["embedding", { rows: e.rows, table, y: y.ref, format, columns, firstRow, yStride: y.stride }]];
  },
  rmsNorm(node, step, e) {
    const { read, made } = placesOf(step, e);
    const [x, y] = [read("x"), made("out")];
    const refs = { x: x.ref, y: y.ref, weight: e.weights.norm(node.weight) };
    const sizes = { xStride: x.stride, yStride: y.stride, width: operandOf(step, "x").width, eps: node.eps };
    return [["norm", { rows: e.rows, ...refs, ...sizes }]];
  },
  linear(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    return [linearStep(matrixOf(node.weight, e), { x: read("x"), y: made("out"), residual: added("out") }, e.rows)];
  },
  rope(node, step, e) {
    const { read, made } = placesOf(step, e);
    const [x, y] = [read("x"), made("out")];
    const { headDim, offset: rotation } = e.rotation(node);
    const sizes = { xStride: x.stride, yStride: y.stride, width: operandOf(step, "x").width, headDim, rotation };
    return [["rope", { rows: e.rows, x: x.ref, y: y.ref, ...sizes, backwards: node.backwards === true ? 1 : 0 }]];
  },
  attention({ heads, kvHeads, headDim }, step, e) {
    const { read, made } = placesOf(step, e);
    const [q, k, v, y, logSumExp] = [read("q"), read("k"), read("v"), made("out"), made("logSumExp")];
    const out = y.ref === 0n ? { ref: e.scratch(q.stride * e.rows), stride: q.stride } : y;
    const refs = { q: q.ref, k: k.ref, v: v.ref, y: out.ref, logSumExp: logSumExp.ref };
    const strides = { qStride: q.stride, kStride: k.stride, yStride: out.stride, logSumExpStride: logSumExp.stride };
    return [["sequenceAttention", { rows: e.rows, ...refs, ...strides, heads, kvHeads, headDim }]];
  },
  swiglu(_, step, e) {
    const { read, made } = placesOf(step, e);
    const [a, b, y] = [read("gate"), read("up"), made("out")];
    const strides = { aStride: a.stride, bStride: b.stride, yStride: y.stride, width: resultOf(step, "out").width };
    return [["swiglu", { rows: e.rows, a: a.ref, b: b.ref, y: y.ref, ...strides }]];
  },
  add(_, step, e) {
    const { read, made } = placesOf(step, e);
    const { rows, width, stride } = flat(resultOf(step, "out"), e); // it is read
    const refs = { a: read("a").ref, b: read("b").ref, y: made("out").ref };
    return [["add", { rows, ...refs, aStride: stride, bStride: stride, yStride: stride, width }]];
  },
  logProbability,
  logProbabilityGrad,
  embeddingGrad(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const { ref: cotangent, stride: cotangentStride } = read("cotangent");
    const refs = { cotangent, residual: added("out").ref, y: made("out").ref };
    const sizes = { cotangentStride, tableRows: node.tableRows, columns: operandOf(step, "cotangent").width };
    return [["embeddingGrad", { rows: e.rows, ...refs, ...sizes }]];
  },
  rmsNormGrad(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const [x, cotangent, y, residual] = [read("x"), read("cotangent"), made("x"), added("x")];
    const inverses = e.scratch(e.rows);
    const shared = { rows: e.rows, x: x.ref, cotangent: cotangent.ref, inverses };
    const strides = { xStride: x.stride, cotangentStride: cotangent.stride, width: operandOf(step, "x").width };
    const own = { weight: e.weights.norm(node.weight), residual: residual.ref, y: y.ref, eps: node.eps };
    const byInput = { ...shared, ...strides, ...own, residualStride: residual.stride, yStride: y.stride };
    const gradient = made("weight").ref;
    if (gradient === 0n) return [["normGrad", byInput]];
    const byWeight = { ...shared, ...strides, residual: added("weight").ref, y: gradient };
    return [
      ["normGrad", byInput],
      ["normWeightGrad", byWeight],
    ];
  },
  linearInputGrad(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const product = { x: read("cotangent"), y: made("out"), residual: added("out") };
    return inputGradSteps(matrixOf(node.weight, e), product, e);
  },
  linearWeightGrad(_, step, e) {
    const { read, made, added } = placesOf(step, e);
    const operands = { x: read("x"), cotangent: read("cotangent"), y: made("out").ref, residual: added("out").ref };
    const size = { matrixRows: operandOf(step, "cotangent").width, columns: operandOf(step, "x").width };
    return [weightGradStep(operands, size, e.rows)];
  },
  attentionGrad({ heads, kvHeads, headDim }, step, e) {
    const { read, made } = placesOf(step, e);
    const [q, k, logSumExp] = [read("q"), read("k"), read("logSumExp")];
    const given = { q: q.ref, k: k.ref, v: read("v").ref, out: read("out").ref, cotangent: read("cotangent").ref };
    const wanted = (role: string, stride: number): bigint => made(role).ref || e.scratch(stride * e.rows);
    const grads = { qGrad: wanted("q", q.stride), kGrad: wanted("k", k.stride), vGrad: wanted("v", k.stride) };
    const strides = { qStride: q.stride, kStride: k.stride, logSumExpStride: logSumExp.stride };
    const sizes = { heads, kvHeads, headDim };
    return [["attentionGrad", { rows: e.rows, ...given, logSumExp: logSumExp.ref, ...grads, ...strides, ...sizes }]];
  },
  swigluGrad(_, step, e) {
    const { read, made } = placesOf(step, e);
    const [gate, up, cotangent] = [read("gate"), read("up"), read("cotangent")];
    const [gateGrad, upGrad] = [made("gate"), made("up")];
    const refs = { gate: gate.ref, up: up.ref, cotangent: cotangent.ref, gateGrad: gateGrad.ref, upGrad: upGrad.ref };
    const strides = { gateStride: gate.stride, upStride: up.stride, cotangentStride: cotangent.stride };
    const outs = { gateGradStride: gateGrad.stride, upGradStride: upGrad.stride };
    return [["swigluGrad", { rows: e.rows, ...refs, ...strides, ...outs, width: operandOf(step, "gate").width }]];
  },
  scale({ factor }, step, e) {
    const { read, made } = placesOf(step, e);
    const { rows, width, stride } = flat(resultOf(step, "out"), e);
    return [
      ["scale", { rows, x: read("x").ref, y: made("out").ref, width: BigInt(width), xStride: BigInt(stride), factor }],
    ];
  },
  sumOfSquares(_, step, e) {
    const { read, made } = placesOf(step, e);
    const { rows, width, stride } = flat(operandOf(step, "x"), e);
    const count = rows * Math.ceil(width / squaredWords);
    const sums = e.scratch(2 * count);
    return [
      ["squares", { rows, x: read("x").ref, sums, width: BigInt(width), xStride: BigInt(stride) }],
      ["sumOfSquares", { rows: 1, sums, y: made("out").ref, count: BigInt(count) }],
    ];
  },
  adamw(node, step, e) {
    const { read, made } = placesOf(step, e);
    const { firstMoment, secondMoment, weight, beta1, beta2, eps, weightDecay, maxNorm } = node;
    const words = wordsOf(operandOf(step, "gradient"), e.rows);
    const at = (name: WeightName): bigint => e.weights.at(name);
    const own = { weight: at(weight), firstMoment: at(firstMoment), secondMoment: at(secondMoment) };
    const target = (role: keyof typeof own): bigint =>
      e.inPlace(node) ? own[role] : made(role).ref || e.scratch(words);
    const refs = { gradient: read("gradient").ref, squares: read("squares").ref, settings: read("settings").ref };
    const outs = {
      newWeight: target("weight"),
      newFirstMoment: target("firstMoment"),
      newSecondMoment: target("secondMoment"),
    };
    const rests = { restOfBeta1: 1 - beta1, restOfBeta2: 1 - beta2 };
    const settings = { words: BigInt(words), beta1, beta2, eps, weightDecay, maxNorm, ...rests };
    return [["adamw", { rows: 1, ...refs, ...own, ...outs, ...settings }]];
  },
};

/** Words of which squares are summed at once (native/kernels/optimizer.h). */
const squaredWords = 65536;

/** The library's steps for a step of a plan. */
export function emitTraining(step: TrainingStep, e: TrainingEmitting): Emitted {
  return byOp(emitters, step.node, step, e);
}
