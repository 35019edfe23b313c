// Operations as they follow each other in Llama, and as backends fuse them: norm and linear, gate, up and swiglu, linear and
// residual, rope and attention. Only the end of a chain is asked for, so that what lies between may never be written. Guaranteed
// bounds do not compose; the tolerance is estimated as for whole models, with only two or three operations to carry errors.

import { reference } from "@polyllama/backend-reference";
import {
  type Backend,
  buildGraph,
  type FormatName,
  type GraphBuilder,
  type KvCache,
  type Program,
  type RopeScaling,
  type SequenceStep,
  type Tensor,
  type Value,
  type Wanted,
} from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { formatAddress, type Parameters } from "./address.ts";
import { type Action, type CaseResult, type Finding, guarded, type Script } from "./case.ts";
import { activations } from "./inputs.ts";
import { attentionScenarios } from "./ops/attention.ts";
import { type Random, random } from "./random.ts";
import { noTolerance, perturbedRuns, widen, worstShare } from "./tolerance.ts";
import { memoryWeights, randomWeights } from "./weights.ts";

export interface ChainCase {
  readonly address: string;
  run(backend: Backend, seed: number): Promise<CaseResult>;
}

/** A graph with runs of it, of which only some values are asked for. */
export interface Chain extends Script {
  readonly wanted: readonly Wanted[];
}

const formatNames = Object.keys(formats) as FormatName[]; // the record's own keys
const eps = 1e-5;

export function chainCases(): readonly ChainCase[] {
  const perFormat = formatNames.flatMap((format) =>
    [1, 3, 19].flatMap((n) => [
      linearChain("norm-linear", format, n, (g, x, linear) => [linear("y", norm(g, x), 70)]),
      linearChain("gate-up-swiglu", format, n, (g, x, linear) => {
        const normed = norm(g, x);
        return [g.swiglu("y", linear("gate", normed, 70), linear("up", normed, 70))];
      }),
      linearChain("linear-add", format, n, (g, x, linear) => [g.add("y", x, linear("wo", x, x.width))]),
    ]),
  );
  const projections = ([1, 6] as const).map((n) =>
    linearChain("norm-qkv", "q4_0", n, (g, x, linear) => {
      const normed = norm(g, x);
      return [linear("q", normed, 64), linear("k", normed, 32), linear("v", normed, 32)];
    }),
  );
  const rotated = Object.keys(attentionScenarios).flatMap((scenario) => [
    ropeAttention({ heads: 6, kvHeads: 2, d: 32 }, scenario, { type: "none" }),
    ropeAttention({ heads: 4, kvHeads: 4, d: 8 }, scenario, { type: "linear", factor: 4 }),
  ]);
  const lastRows = ([1, 4, 33] as const).map((n) =>
    linearChain("norm-logits-last", "q8_0", n, (g, x, linear) => [linear("logits", norm(g, x), 259)], [
      { value: "logits", rows: "last" },
    ]),
  );
  return [...perFormat, ...projections, ...rotated, ...lastRows];
}

function norm(g: GraphBuilder, x: Value): Value {
  return g.rmsNorm("norm", x, g.weight("norm", [x.width]), { eps });
}

/** A chain from activations x [N, 256] through linears of one format. */
function linearChain(
  name: string,
  format: FormatName,
  n: number,
  define: (g: GraphBuilder, x: Value, linear: (output: string, x: Value, width: number) => Value) => readonly Value[],
  wanted?: readonly Wanted[],
): ChainCase {
  return chainCase(name, { format, n }, (stream) => {
    const graph = buildGraph((g) =>
      define(g, g.activations("x", 256), (output, x, width) =>
        g.linear(output, x, g.weight(`w.${output}`, [width, x.width])),
      ),
    );
    const weights = memoryWeights(randomWeights(graph, format, stream));
    const action: Action = { run: { x: activations("normal", n, 256, stream) }, batch: [{ rows: n }] };
    return { graph, weights, actions: [action], wanted: wanted ?? graph.outputs };
  });
}

/** q and k are rotated by the positions that follow from the caches, and k is cached rotated. */
function ropeAttention(
  shape: { readonly heads: number; readonly kvHeads: number; readonly d: number },
  scenario: string,
  scaling: RopeScaling,
): ChainCase {
  const { heads, kvHeads, d } = shape;
  return chainCase("rope-attention", { ...shape, scaling: scaling.type, scenario }, (stream) => {
    const rotation = { headDim: d, theta: 10000, scaling };
    const graph = buildGraph((g) => {
      const q = g.rope("q_rope", g.activations("q", heads * d), rotation); // [N, H d]
      const k = g.rope("k_rope", g.activations("k", kvHeads * d), rotation); // [N, G d]
      return [g.attention("y", q, k, g.activations("v", kvHeads * d), { heads, kvHeads, headDim: d })];
    });
    const actions = attentionScenarios[scenario]!((batch) => {
      const rows = batch.reduce((sum, part) => sum + part.rows, 0);
      const input = (width: number) => activations("normal", rows, width, stream);
      return { run: { q: input(heads * d), k: input(kvHeads * d), v: input(kvHeads * d) }, batch };
    });
    return { graph, weights: memoryWeights([]), capacity: 64, actions, wanted: graph.outputs };
  });
}

function chainCase(name: string, parameters: Parameters, build: (stream: Random) => Chain): ChainCase {
  const address = formatAddress("chain", name, parameters);
  return { address, run: (backend, seed) => guarded(address, () => judgeChain(build(random(address, seed)), backend)) };
}

/** Holds what a chain gives against the estimated tolerance. */
export async function judgeChain(chain: Chain, backend: Backend, runs: number = perturbedRuns): Promise<Finding> {
  const actual = await play(chain, backend);
  const exact = await play(chain, reference());
  const tolerances = exact.map(noTolerance);
  for (let seed = 0; seed < runs; seed++) {
    const moved = await play(chain, reference({ perturb: { rounding: backend.roundings, seed } }));
    for (const [i, tolerance] of tolerances.entries()) widen(tolerance, moved[i]!);
  }
  let worst = 0;
  let problem: string | undefined;
  for (const [i, tensor] of actual.entries()) {
    const expected = exact[i]!;
    if (String(tensor.shape) !== String(expected.shape)) {
      return { worst: Infinity, problem: `output ${i}: shape [${tensor.shape}] instead of [${expected.shape}]` };
    }
    const share = worstShare(tensor, tolerances[i]!);
    if (!(share <= worst)) worst = share;
    if (!(share <= 1)) problem ??= `output ${i} is off by ${share.toFixed(2)} times the tolerance`;
  }
  return { worst, problem };
}

/** The wanted values of every run of a chain, one after another. */
async function play({ graph, weights, actions, capacity = 1, wanted }: Chain, backend: Backend): Promise<Tensor[]> {
  await using program: Program = await backend.compile(graph, weights);
  const caches = new Map<number, KvCache>();
  const cacheOf = (index: number): KvCache => {
    const known = caches.get(index) ?? program.createCache(capacity);
    caches.set(index, known);
    return known;
  };
  const outputs: Tensor[] = [];
  for (const action of actions) {
    if ("truncate" in action) cacheOf(action.cache).truncate(action.truncate);
    else if ("fork" in action) caches.set(action.to, await cacheOf(action.fork).fork());
    else {
      const batch = action.batch.map(
        ({ cache, ...part }): SequenceStep => ({ ...part, ...(cache !== undefined && { cache: cacheOf(cache) }) }),
      );
      outputs.push(...(await program.run({ inputs: action.run, batch }, wanted)));
    }
  }
  for (const cache of caches.values()) cache[Symbol.dispose]();
  return outputs;
}
