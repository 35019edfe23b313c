// With s = 1 / sqrt(mean(x^2) + eps) and g = cotangent * weight: x = s (g - x s^2 mean(g x)), and
// weight = sum over rows of cotangent * x s

import type { RealArray, RmsNormGradNode } from "@polyllama/core";
import type { Rounding } from "../bounds.ts";
import { type Matrix, matrix, row } from "../matrix.ts";
import { given, type Running, runningArithmetic } from "../running.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

interface Grads {
  /** [N, D] */
  readonly x: Matrix;
  /** [1, D] */
  readonly weight: Matrix;
}

export function evaluateRmsNormGrad(
  node: RmsNormGradNode,
  { value, weight }: Operands,
): { readonly x: Evaluated; readonly weight: Evaluated } {
  const [x, cotangent, w] = [value(node.x), value(node.cotangent), weight(node.weight).values];
  const exact = (): Grads => rmsNormGrad(x, cotangent, w, node.eps);
  const bound = (rounding: Rounding): Grads => rmsNormGradBound(x, cotangent, w, node.eps, rounding);
  return {
    x: { exact: () => exact().x, bound: (rounding) => bound(rounding).x },
    weight: { exact: () => exact().weight, bound: (rounding) => bound(rounding).weight },
  };
}

function rmsNormGrad(x: Matrix, cotangent: Matrix, weight: RealArray, eps: number): Grads {
  const D = x.width;
  const grads: Grads = { x: matrix(x.rows, D), weight: matrix(1, D) };
  for (let n = 0; n < x.rows; n++) {
    const [from, dy, to] = [row(x, n), row(cotangent, n), row(grads.x, n)]; // [D] each
    let [squares, product] = [0, 0];
    for (let i = 0; i < D; i++) {
      squares += from[i]! ** 2;
      product += dy[i]! * weight[i]! * from[i]!;
    }
    const s = 1 / Math.sqrt(squares / D + eps);
    const along = (s ** 2 * product) / D;
    for (let i = 0; i < D; i++) {
      to[i] = s * (dy[i]! * weight[i]! - from[i]! * along);
      grads.weight.data[i]! += dy[i]! * from[i]! * s;
    }
  }
  return grads;
}

/** The same, step by step, each with its rounding. */
function rmsNormGradBound(x: Matrix, cotangent: Matrix, w: RealArray, eps: number, rounding: Rounding): Grads {
  const a = runningArithmetic(rounding);
  const D = x.width;
  const bounds: Grads = { x: matrix(x.rows, D), weight: matrix(1, D) };
  const terms = Array.from({ length: D }, (): Running[] => []);
  const [size, added] = [given(D), given(eps)];
  for (let n = 0; n < x.rows; n++) {
    const [from, dy] = [x, cotangent].map((matrix) => Array.from(row(matrix, n), given)) as [Running[], Running[]]; // both
    const g = dy.map((each, i) => a.multiply(each, given(w[i]!)));
    const s = a.inverseSqrt(a.add(a.divide(a.dot(from, from), size), added));
    const along = a.divide(a.multiply(a.multiply(s, s), a.dot(g, from)), size);
    for (let i = 0; i < D; i++) {
      row(bounds.x, n)[i] = a.multiply(s, a.subtract(g[i]!, a.multiply(from[i]!, along))).error;
      terms[i]!.push(a.multiply(a.multiply(dy[i]!, from[i]!), s));
    }
  }
  for (const [i, each] of terms.entries()) bounds.weight.data[i] = a.sum(each).error;
  return bounds;
}
