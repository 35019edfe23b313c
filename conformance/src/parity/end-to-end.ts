// The logits of a text on a backend: half of it read at once, the rest token by token through the same cache, as a
// generation does. Two correct backends must choose the same token wherever the choice is not a matter of rounding.

import type { RealArray, Tensor } from "@polyllama/core";
import type { LoadedGraph } from "@polyllama/core/device";
import type { Activations } from "../activations.ts";
import { compareChoices, tooFewDecided } from "../comparison/choices.ts";
import { measureTolerance, type Tolerance } from "../comparison/tolerance.ts";
import { type EndToEnd, measured } from "./result.ts";

export async function compareLogits(
  loaded: LoadedGraph,
  tokens: Int32Array,
  tolerance: Tolerance,
  { activations, signal }: { readonly activations: Activations; readonly signal: AbortSignal | undefined },
): Promise<EndToEnd> {
  const { exact } = tolerance;
  const prefilled = Math.ceil(tokens.length / 2);
  const actual = await readTokens(loaded, tokens, prefilled, exact.shape, signal);
  const found = measureTolerance(actual, tolerance);
  const choices = compareChoices(actual, tolerance);
  const kl = meanDivergence(exact, actual);
  return {
    worst: measured(found).worst,
    problem: describe(),
    prefilled,
    worstRow: found.row,
    sameToken: choices.same,
    decided: choices.decided,
    meanKl: Number.isFinite(kl) ? kl : null,
  };

  function describe(): string | null {
    if (found.problem !== undefined) return `logits of ${found.problem}`;
    const { wrong } = choices;
    if (wrong !== undefined) return `another token than the reference's is the most probable in row ${wrong}`;
    return (activations === "f32" ? tooFewDecided(choices) : undefined) ?? null;
  }
}

async function readTokens(
  loaded: LoadedGraph,
  tokens: Int32Array,
  prefilled: number,
  shape: Tensor["shape"],
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  using pool = loaded.pool(tokens.length);
  const cache = pool.open();
  const data = new Float64Array(shape[0] * shape[1]);
  for (let first = 0; first < tokens.length; ) {
    const rows = first === 0 ? prefilled : 1;
    const step = { inputs: { tokens: tokens.slice(first, first + rows) }, sequences: [{ rows, cache }] };
    const [logits] = await loaded.run(step, ["logits"], signal);
    data.set(logits!.data, first * shape[1]);
    first += rows;
  }
  return { shape, data };
}

/** Mean of KL(softmax(a) || softmax(b)) over the rows, in nats. */
function meanDivergence({ shape: [rows, width], data }: Tensor, { data: others }: Tensor): number {
  let sum = 0;
  for (let n = 0; n < rows; n++) {
    const [from, to] = [n * width, (n + 1) * width];
    sum += divergence(data.subarray(from, to), others.subarray(from, to)) / rows;
  }
  return sum;
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
