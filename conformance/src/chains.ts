// Operations as they follow each other in Llama, and as backends fuse them: norm and linear, gate, up and swiglu,
// linear and residual, rope and attention. Only the end of a chain is asked for, so that what lies between may never be
// written.

import { buildGraph, type FormatName, type GraphBuilder, type RopeScaling, type Value } from "@polyllama/core";
import type { Wanted } from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import type { Parameters } from "./address.ts";
import { formatAddress } from "./address.ts";
import { type ConformanceCase, makeCase } from "./case.ts";
import { combinations } from "./combine.ts";
import { type Chain, compareChain } from "./comparison/scripts.ts";
import { activations } from "./inputs.ts";
import { rowsOf, type ScenarioName, scenarioCapacity, scenarioNames, scenarios } from "./ops/scenarios.ts";
import { type Random, random } from "./random.ts";
import { memoryWeights, randomWeights } from "./weights.ts";

/** Defines a chain behind activations x [N, 256]; its linears have one format. */
type Define = (
  g: GraphBuilder,
  x: Value,
  linear: (output: string, x: Value, width: number) => Value,
) => readonly Value[];

interface LinearChain {
  readonly name: string;
  readonly define: Define;
  /** Default: the graph's outputs. */
  readonly wanted?: readonly Wanted[];
}

const width = 256;

const normLinear: LinearChain = {
  name: "norm-linear",
  define: (g, x, linear) => [linear("y", norm(g, x), 70)],
};
const gateUpSwiglu: LinearChain = {
  name: "gate-up-swiglu",
  define: (g, x, linear) => {
    const normed = norm(g, x);
    return [g.swiglu("y", linear("gate", normed, 70), linear("up", normed, 70))];
  },
};
const linearAdd: LinearChain = {
  name: "linear-add",
  define: (g, x, linear) => [g.add("y", x, linear("wo", x, x.width))],
};
const normQkv: LinearChain = {
  name: "norm-qkv",
  define: (g, x, linear) => {
    const normed = norm(g, x);
    return [linear("q", normed, 64), linear("k", normed, 32), linear("v", normed, 32)];
  },
};
const normLogitsLast: LinearChain = {
  name: "norm-logits-last",
  define: (g, x, linear) => [linear("logits", norm(g, x), 259)],
  wanted: [{ value: "logits", rows: "last" }],
};

const perFormat = combinations
  .combine("format", Object.keys(formats) as FormatName[]) // the record's own keys
  .combine("n", [1, 3, 19])
  .combine("chain", [normLinear, gateUpSwiglu, linearAdd]);
const projections = combinations.with([{ format: "q4_0", chain: normQkv }]).combine("n", [1, 6]);
const lastRows = combinations.with([{ format: "q8_0", chain: normLogitsLast }]).combine("n", [1, 4, 33]);

const rotated = combinations.combine("scenario", scenarioNames).with([
  { heads: 6, kvHeads: 2, d: 32, scaling: { type: "none" } },
  { heads: 4, kvHeads: 4, d: 8, scaling: { type: "linear", factor: 4 } },
]);

export function chainCases(): readonly ConformanceCase[] {
  return [
    ...perFormat.map(linearCase),
    ...projections.map(linearCase),
    ...rotated.map(ropeAttentionCase),
    ...lastRows.map(linearCase),
  ];
}

function norm(g: GraphBuilder, x: Value): Value {
  return g.rmsNorm("norm", x, g.weight("norm", [x.width]), { eps: 1e-5 });
}

function linearCase(given: {
  readonly chain: LinearChain;
  readonly format: FormatName;
  readonly n: number;
}): ConformanceCase {
  const { chain, format, n } = given;
  const { name, define, wanted } = chain;
  return chainCase(name, { format, n }, (stream) => {
    const graph = buildGraph((g) =>
      define(g, g.activations("x", width), (output, x, columns) =>
        g.linear(output, x, g.weight(`w.${output}`, [columns, x.width])),
      ),
    );
    const weights = memoryWeights(randomWeights(graph, format, stream));
    const action = { run: { x: activations("normal", n, width, stream) }, sequences: [{ rows: n }] };
    return { graph, weights, actions: [action], wanted: wanted ?? graph.outputs };
  });
}

/** q and k are rotated by the positions that follow from the caches, and k is cached rotated. */
function ropeAttentionCase(given: {
  readonly heads: number;
  readonly kvHeads: number;
  readonly d: number;
  readonly scaling: RopeScaling;
  readonly scenario: ScenarioName;
}): ConformanceCase {
  const { heads, kvHeads, d, scaling, scenario } = given;
  return chainCase("rope-attention", { heads, kvHeads, d, scaling: scaling.type, scenario }, (stream) => {
    const rotation = { headDim: d, theta: 10000, scaling };
    const graph = buildGraph((g) => {
      const q = g.rope("q_rope", g.activations("q", heads * d), rotation); // [N, H d]
      const k = g.rope("k_rope", g.activations("k", kvHeads * d), rotation); // [N, G d]
      return [g.attention("y", q, k, g.activations("v", kvHeads * d), { heads, kvHeads, headDim: d })];
    });
    const actions = scenarios[scenario]((sequences) => {
      const input = (columns: number) => activations("normal", rowsOf(sequences), columns, stream);
      return { run: { q: input(heads * d), k: input(kvHeads * d), v: input(kvHeads * d) }, sequences };
    });
    return { graph, weights: memoryWeights([]), capacity: scenarioCapacity, actions, wanted: graph.outputs };
  });
}

function chainCase(name: string, given: Parameters, build: (stream: Random) => Chain): ConformanceCase {
  const address = formatAddress("chain", name, given);
  return makeCase("chain", name, given, (device, seed) => compareChain(build(random(address, seed)), device));
}
