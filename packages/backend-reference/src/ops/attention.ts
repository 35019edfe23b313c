// softmax(q k^T / sqrt(d)) v, causal, with grouped queries, for the rows of one sequence.

import type { AttentionNode, TensorCoreRounding } from "@polyllama/core";
import type { Attended } from "@polyllama/planner";
import { dotError, leastStep, type Rounding } from "../bounds.ts";
import { type Matrix, matrix } from "../matrix.ts";
import { attentionLogSumExp } from "./attention-log-sum-exp.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

/** Appends to the caches at once; what comes of it is computed when it is asked for. */
export function evaluateAttention(
  node: AttentionNode,
  { value, append }: Operands,
): { readonly out: Evaluated; readonly logSumExp: Evaluated } {
  const attended = append(node);
  const compute = (rounding?: Rounding): Matrix => {
    const q = value(node.q);
    const y = matrix(q.rows, q.width);
    for (const sequence of attended) attention(q, sequence, node, y, rounding);
    return y;
  };
  return {
    out: { exact: () => compute(), bound: compute },
    logSumExp: attentionLogSumExp(value(node.q), attended, node),
  };
}

/**
 * Writes `y` [N, H d] for rows `first` to `first + rows - 1` of q [N, H d], which stand at cache positions `start` and
 * up. With `rounding`, writes the error bound instead.
 */
export function attention(
  q: Matrix,
  { first, rows, start, past: { k, v } }: Attended<Float64Array>,
  { heads, kvHeads, headDim: d }: AttentionNode,
  y: Matrix,
  rounding?: Rounding,
): void {
  const group = heads / kvHeads;
  const stride = kvHeads * d;
  const cores = rounding && coresFor(rounding, d, rows);
  const [keySteps, valueSteps] = [halfSteps(k, rounding?.cache), halfSteps(v, rounding?.cache)];
  for (let n = 0; n < rows; n++) {
    const length = start + n + 1; // a row sees itself and all before it
    const p = new Float64Array(length);
    const scoreError = new Float64Array(length);
    for (let h = 0; h < heads; h++) {
      const query = (first + n) * q.width + h * d;
      const head = Math.floor(h / group) * d;
      let most = -Infinity;
      const largest = cores ? largestOf(q.data.subarray(query, query + d)) : 0;
      for (let t = 0; t < length; t++) {
        let dot = 0;
        let magnitude = 0;
        let keys = 0;
        let kept = 0;
        for (let i = 0; i < d; i++) {
          keys += Math.abs(k[t * stride + head + i]!);
          const product = q.data[query + i]! * k[t * stride + head + i]!;
          kept += Math.abs(q.data[query + i]!) * (keySteps?.[t * stride + head + i] ?? 0);
          dot += product;
          magnitude += Math.abs(product);
        }
        p[t] = dot / Math.sqrt(d);
        most = Math.max(most, p[t]!);
        if (rounding) scoreError[t] = (rounding.unit * (dotError(d) * magnitude + 2 * Math.abs(dot))) / Math.sqrt(d);
        scoreError[t]! += kept / Math.sqrt(d);
        if (cores) {
          const inputs = cores.unit * magnitude + cores.least * largest * keys;
          scoreError[t]! += (inputs + truncated(d, magnitude, cores)) / Math.sqrt(d);
        }
      }
      let sum = 0;
      for (let t = 0; t < length; t++) {
        p[t] = Math.exp(p[t]! - most);
        sum += p[t]!;
      }
      const worstScore = rounding ? scoreError.reduce((a, b) => Math.max(a, b), 0) : 0;
      for (let i = 0; i < d; i++) {
        let value = 0;
        let magnitude = 0;
        let values = 0;
        let kept = 0;
        for (let t = 0; t < length; t++) {
          values += Math.abs(v[t * stride + head + i]!);
          const product = (p[t]! / sum) * v[t * stride + head + i]!;
          kept += (p[t]! / sum) * (valueSteps?.[t * stride + head + i] ?? 0);
          value += product;
          magnitude += Math.abs(product);
        }
        const at = (first + n) * y.width + h * d + i;
        if (rounding === undefined) y.data[at] = value;
        else {
          const relative = relativeError(worstScore, length, rounding);
          y.data[at] = magnitude * relative + 2 * length * leastStep(rounding);
          y.data[at]! += (1 + relative) * kept;
          if (cores) {
            const weights = cores.unit * magnitude + (cores.least * values) / sum;
            y.data[at]! += (1 + relative) * (weights + truncated(length, magnitude, cores));
          }
        }
      }
    }
  }
}

/** Half a step of each key or value [n, G d] as it is kept; undefined where that is as wide as what is written to it. */
function halfSteps(values: Float64Array, format: Rounding["cache"]): Float64Array | undefined {
  if (format === "f16") return values.map((value) => 2 ** -11 * Math.abs(value) + 2 ** -25);
  if (format === "bf16") return values.map((value) => 2 ** -8 * Math.abs(value) + 2 ** -134);
  if (format !== "q8_0") return undefined;
  const steps = new Float64Array(values.length);
  for (let start = 0; start < values.length; start += 32) {
    const largest = largestOf(values.subarray(start, start + 32));
    // Half a scale, which is rounded to f16 itself, where 127 steps are not less than half the least f16.
    steps.fill(((1 + 2 ** -11) * largest) / 254 + 127 * 2 ** -25, start, start + 32);
  }
  return steps;
}

/** What tensor cores lose, where these rows are computed on them. */
function coresFor({ tensorCores, cache }: Rounding, d: number, rows: number): TensorCoreRounding | undefined {
  const where = tensorCores?.attention;
  if (where === undefined || rows < tensorCores!.fromRows) return undefined;
  const suits = where.caches.some((format) => format === cache) && d % where.multiple === 0 && d <= where.most;
  return suits ? tensorCores : undefined;
}

function largestOf(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/**
 * Of a sum of k products that is cut off: no addend and no sum exceeds the sum of sizes, of which each group loses
 * steps.
 */
function truncated(k: number, magnitude: number, { unit, truncation }: TensorCoreRounding): number {
  return Math.ceil(k / truncation.group) * (truncation.group + 2) * truncation.unit * magnitude * (1 + 3 * unit);
}

/**
 * Relative error of the terms p v and their sum: an error e of a score turns into a factor exp(e), in the term and in
 * the sum that divides it; exp itself, the sum, the division and the weighted sum add theirs.
 */
function relativeError(worstScore: number, length: number, { unit, exp, division = 1 }: Rounding): number {
  return Math.expm1(2 * worstScore) + unit * (2 * exp + 2 * dotError(length) + 1 + division);
}
