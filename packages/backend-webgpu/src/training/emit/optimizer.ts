// Sums of squares, AdamW, and whether what AdamW is given is finite.

import { type AdamWNode, isFixed, rowCount, rowsIn, type SumOfSquaresNode, type WeightName } from "@polyllama/core";
import { f32, struct, type TrainingBuffer, type TrainingStep, u32 } from "@polyllama/planner";
import { copy, declareKernel, flatGrid, type Kernel, part, type View } from "../commands.ts";
import { bindingPieces, matrixStride, strideOf } from "../layout.ts";
import { matrixPieces, vectorView } from "../matrices.ts";
import { type Emitted, placesOf, type TrainingEmission } from "./emission.ts";

/** A value in pieces that a binding holds each. */
export function piecesOf(buffer: TrainingBuffer, e: TrainingEmission): readonly View[] {
  const [stride, view] = [strideOf(buffer), e.view(buffer)];
  return bindingPieces(rowsIn(buffer.type, e.rows), stride, e.gpu.limits).map(({ first, count }) =>
    part(view, first * stride, count * stride),
  );
}

const sum = declareKernel(
  "sum_of_squares",
  struct({
    first: u32, // where the sums of these workgroups begin
    words: u32,
    width: u32, // of a row
    stride: u32, // and from row to row
  }),
  "rw",
);

/** Sums that the first pass over a piece leaves, at most. */
const mostSums = 256;

export function emitSumOfSquares(node: SumOfSquaresNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { made } = placesOf(step, e);
  const [x, y] = [step.operands["x"]!, made("out")]; // the op has one
  if (y === undefined) return [];
  const label = `sumOfSquares ${node.output}`;
  const pieces = piecesOf(x, e);
  const counts = pieces.map(({ bytes }) => Math.min(mostSums, Math.ceil(bytes / 4096)));
  const total = counts.reduce((all, count) => all + count, 0);
  const sums = e.scratch(total);
  let first = 0;
  const kernels = pieces.map((piece, i): Kernel => {
    const parameters = {
      first,
      words: piece.bytes / 4,
      width: isFixed(x.type) ? strideOf(x) : x.width,
      stride: strideOf(x),
    };
    const groups = counts[i]!; // one for each
    first += groups;
    return sum(label, { PADDED: parameters.width < parameters.stride }, parameters, [piece, sums], [groups, 1, 1]);
  });
  const last = { first: 0, words: total, width: total, stride: total };
  return [...kernels, sum(label, { PARTIALS: true }, last, [sums, y.view], [1, 1, 1])];
}

const adamw = declareKernel(
  "adamw",
  struct({
    words: u32,
    beta1: f32,
    rest1: f32, // 1 - beta1
    beta2: f32,
    rest2: f32,
    eps: f32,
    weight_decay: f32,
    max_norm: f32,
    max_squares: f32, // its square
  }),
  "rrrwww",
);

const largest = 3.4028234663852886e38;

/** What AdamW goes over at once. */
interface Part {
  /** Word of the gradient at which it begins. */
  readonly first: number;
  readonly words: number;
  readonly view: View;
}

/** A weight in f32, as it lies in memory. */
function partsOf(name: WeightName, { weights }: TrainingEmission): readonly Part[] {
  const info = weights.weights.get(name)!; // loaded for this graph
  if (!weights.layout.places.has(name)) {
    const words = info.shape.reduce((product, dim) => product * dim, 1);
    return [{ first: 0, words, view: vectorView(name, weights) }];
  }
  return matrixPieces(name, weights).map(({ first, count, columns, quants }) => {
    const stride = matrixStride(columns);
    return { first: first * stride, words: count * stride, view: quants };
  });
}

export function emitAdamW(node: AdamWNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const [gradient, squares, settings] = [read("gradient"), read("squares"), read("settings")];
  const { beta1, beta2, eps, weightDecay, maxNorm } = node;
  const label = `adamw ${node.output}`;
  const info = e.weights.weights.get(node.weight)!; // loaded for this graph
  const words = rowCount(info) * gradient.stride;
  const roles = (["weight", "firstMoment", "secondMoment"] as const).map((role) => {
    const own = partsOf(node[role], e);
    if (e.inPlace(node)) return { own, to: own };
    const view = made(role)?.view ?? e.scratch(words);
    return { own, to: own.map((each) => ({ ...each, view: part(view, each.first, each.words) })) };
  });
  const copies = e.inPlace(node)
    ? []
    : roles.flatMap(({ own, to }) => own.map(({ view }, i) => copy(view, to[i]!.view))); // one for each
  const [weight] = roles;
  const kernels = weight!.to.map(({ first, words: count }, i) => {
    // there are three
    const parameters = {
      words: count,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      eps,
      weight_decay: weightDecay,
      max_norm: Math.min(maxNorm, largest),
      max_squares: Math.min(maxNorm ** 2, largest),
    };
    const targets = roles.map(({ to }) => to[i]!.view); // of one shape and format, so of the same parts
    const resources = [part(gradient.view, first, count), squares.view, settings.view, ...targets];
    return adamw(label, {}, parameters, resources, flatGrid(count), 8 * count);
  });
  return [...copies, ...kernels];
}

const finite = declareKernel("finite", struct({ words: u32 }), "rw");

/** Sets a flag where what AdamW is given is not finite. */
export function emitFinite(steps: readonly TrainingStep[], flag: View, e: TrainingEmission): Emitted {
  const looked = new Map(
    steps.flatMap(({ operands }) => Object.values(operands)).map((buffer) => [buffer.value, buffer]),
  );
  return [...looked.values()].flatMap((buffer) =>
    piecesOf(buffer, e).map((piece) =>
      finite(`finite ${buffer.value}`, {}, { words: piece.bytes / 4 }, [piece, flag], flatGrid(piece.bytes / 4)),
    ),
  );
}
