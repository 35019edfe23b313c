// The gradient of attention, for each sequence of a step, row by row and key by key. With the weight p of a key,
// p = exp(q k / sqrt(d) - logSumExp), and s = p (cotangent . v - cotangent . out) / sqrt(d):
// q = s k, k = s q, v = p cotangent, summed over keys, and over rows and the query heads of a key/value head.

import type { AttentionGradNode } from "@polyllama/core";
import { dotError, leastStep, type Rounding } from "../bounds.ts";
import { type Matrix, map, matrix } from "../matrix.ts";
import { given, type Running, runningArithmetic } from "../running.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

type Role = "q" | "k" | "v";
type Read = Role | "out" | "logSumExp" | "cotangent";

/** A row and a key that it sees, in one head: where their elements begin. */
interface Pair {
  /** In q, out and cotangent. */
  readonly query: number;
  /** In k and v. */
  readonly key: number;
  /** In logSumExp. */
  readonly head: number;
}

export function evaluateAttentionGrad(
  node: AttentionGradNode,
  { value, sequences }: Operands,
): { readonly [R in Role]: Evaluated } {
  const { heads, kvHeads, headDim: d } = node;
  const roles = ["q", "k", "v", "out", "logSumExp", "cotangent"] as const;
  const read = Object.fromEntries(roles.map((role) => [role, value(node[role])])) as Record<Read, Matrix>; // of all
  const eachPair = (visit: (pair: Pair) => void): void => {
    for (const { first, rows } of sequences) {
      for (let n = first; n < first + rows; n++) {
        for (let h = 0; h < heads; h++) {
          const group = Math.floor((h * kvHeads) / heads);
          for (let t = first; t <= n; t++) {
            visit({ query: (n * heads + h) * d, key: (t * kvHeads + group) * d, head: n * heads + h });
          }
        }
      }
    }
  };
  const exact = (role: Role): Matrix => {
    const grad = matrix(read[role].rows, read[role].width);
    eachPair((pair) => addExact(read, pair, d, role, grad.data));
    return grad;
  };
  const bound = (role: Role, rounding: Rounding): Matrix => {
    const [sizes, errors, counts] = [0, 1, 2].map(() => new Float64Array(read[role].data.length));
    eachPair((pair) => addErrors(read, pair, d, role, rounding, [sizes!, errors!, counts!]));
    return map(read[role], (_, i) => {
      const [size, error, count] = [sizes![i]!, errors![i]!, counts![i]!];
      return error + dotError(count) * rounding.unit * size + count * leastStep(rounding);
    });
  };
  const evaluated = (role: Role): Evaluated => {
    return { exact: () => exact(role), bound: (rounding) => bound(role, rounding) };
  };
  return { q: evaluated("q"), k: evaluated("k"), v: evaluated("v") };
}

/** What a pair adds to each role's gradient: a factor, of elements of this role from this one's. */
function target(role: Role, { query, key }: Pair): { readonly at: number; readonly of: Read; readonly from: number } {
  if (role === "q") return { at: query, of: "k", from: key };
  if (role === "k") return { at: key, of: "q", from: query };
  return { at: key, of: "cotangent", from: query };
}

function addExact(read: Record<Read, Matrix>, pair: Pair, d: number, role: Role, grad: Float64Array): void {
  const { query, key, head } = pair;
  const [q, k, v, out, dy] = [read.q, read.k, read.v, read.out, read.cotangent].map(({ data }) => data);
  let [score, ofValue, ofOutput] = [0, 0, 0];
  for (let i = 0; i < d; i++) {
    score += q![query + i]! * k![key + i]!;
    ofValue += dy![query + i]! * v![key + i]!;
    ofOutput += dy![query + i]! * out![query + i]!;
  }
  const p = Math.exp(score / Math.sqrt(d) - read.logSumExp.data[head]!);
  const factor = role === "v" ? p : (p * (ofValue - ofOutput)) / Math.sqrt(d);
  const { at, of, from } = target(role, pair);
  for (let i = 0; i < d; i++) grad[at + i]! += factor * read[of].data[from + i]!;
}

/** Sizes, inherited errors and numbers of the addends. */
function addErrors(
  read: Record<Read, Matrix>,
  pair: Pair,
  d: number,
  role: Role,
  rounding: Rounding,
  [sizes, errors, counts]: readonly [Float64Array, Float64Array, Float64Array],
): void {
  const { query, key, head } = pair;
  const a = runningArithmetic(rounding);
  const part = (of: Read, from: number): Running[] => Array.from(read[of].data.subarray(from, from + d), given);
  const root = given(Math.sqrt(d));
  const dy = part("cotangent", query);
  const score = a.divide(a.dot(part("q", query), part("k", key)), root);
  const p = a.exp(a.subtract(score, given(read.logSumExp.data[head]!)));
  const difference = a.subtract(a.dot(dy, part("v", key)), a.dot(dy, part("out", query)));
  const factor = role === "v" ? p : a.divide(a.multiply(p, difference), root);
  const { at, of, from } = target(role, pair);
  for (let i = 0; i < d; i++) {
    const size = Math.abs(read[of].data[from + i]!);
    sizes[at + i]! += (Math.abs(factor.value) + factor.error) * size;
    errors[at + i]! += factor.error * size;
    counts[at + i]!++;
  }
}
