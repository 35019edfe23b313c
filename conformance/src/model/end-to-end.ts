// The logits of a text on a backend: half of it read at once, the rest token by token through the same cache, as a
// generation does. Two correct backends must choose the same token wherever the choice is not a matter of rounding.

import type { Program, RealArray, Tensor } from "@polyllama/core";
import type { Activations } from "../activations.ts";
import { measure } from "./measure.ts";
import type { EndToEnd } from "./result.ts";

/** Share of positions that must be decided on a backend that rounds to nothing coarser than f32. */
const leastDecided = 0.95;

export async function compareLogits(
  program: Program,
  tokens: Int32Array,
  exact: Tensor,
  perRow: Float64Array,
  { activations, signal }: { readonly activations: Activations; readonly signal: AbortSignal | undefined },
): Promise<EndToEnd> {
  const prefilled = Math.ceil(tokens.length / 2);
  const actual = await readTokens(program, tokens, prefilled, exact.shape, signal);
  const { row, ...measured } = measure(actual, exact, (n) => perRow[n]!);

  const [rows, width] = exact.shape;
  let sameToken = 0;
  let decided = 0;
  let wrong: number | undefined;
  let kl = 0;
  for (let n = 0; n < rows; n++) {
    const theirs = exact.data.subarray(n * width, (n + 1) * width); // [V]
    const own = actual.data.subarray(n * width, (n + 1) * width); // [V]
    const [best, second] = twoLargest(theirs);
    const same = twoLargest(own)[0] === best;
    if (same) sameToken++;
    if (theirs[best]! - theirs[second]! > 2 * perRow[n]!) {
      decided++;
      if (!same) wrong ??= n;
    }
    kl += divergence(theirs, own) / rows;
  }
  return {
    worst: measured.worst,
    problem: describe(),
    prefilled,
    worstRow: row,
    sameToken,
    decided,
    meanKl: Number.isFinite(kl) ? kl : null,
  };

  function describe(): string | null {
    if (measured.problem !== null) return `logits of ${measured.problem}`;
    if (wrong !== undefined) return `another token than the reference's is the most probable in row ${wrong}`;
    if (decided >= leastDecided * rows || activations !== "f32") return null;
    return (
      `the most probable token is beyond rounding in only ${decided} of ${rows} rows, less than ${leastDecided * 100} %; ` +
      "a text of the kind that the model was trained on decides more"
    );
  }
}

async function readTokens(
  program: Program,
  tokens: Int32Array,
  prefilled: number,
  shape: Tensor["shape"],
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  using cache = program.createCache(tokens.length);
  const data = new Float64Array(shape[0] * shape[1]);
  for (let first = 0; first < tokens.length; ) {
    const rows = first === 0 ? prefilled : 1;
    const step = { inputs: { tokens: tokens.slice(first, first + rows) }, batch: [{ rows, cache }] };
    const [logits] = await program.run(step, ["logits"], signal && { signal });
    data.set(logits!.data, first * shape[1]);
    first += rows;
  }
  return { shape, data };
}

/** Ids of the largest logit and of the second one; of equal ones the lower id first. NaN counts as the least. */
function twoLargest(logits: RealArray): readonly [number, number] {
  let [first, second] = [-1, -1];
  for (let i = 0; i < logits.length; i++) {
    if (first < 0 || logits[i]! > logits[first]!) [first, second] = [i, first];
    else if (second < 0 || logits[i]! > logits[second]!) second = i;
  }
  return [first, second];
}

/** KL(softmax(a) || softmax(b)) in nats. */
function divergence(a: RealArray, b: RealArray): number {
  const [la, lb] = [logSum(a), logSum(b)];
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const logP = a[i]! - la;
    const logQ = b[i]! - lb;
    sum += Math.exp(logP) * (logP - logQ);
  }
  return Math.max(0, sum); // below zero only by rounding
}

function logSum(logits: RealArray): number {
  let most = -Infinity;
  for (const logit of logits) most = Math.max(most, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return most + Math.log(sum);
}
