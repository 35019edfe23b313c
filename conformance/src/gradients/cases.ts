// Graphs whose gradients are held against central differences: each op that has a gradient alone, at sizes at which
// every element can be moved, and small models, in which values have several uses.

import {
  buildGraph,
  type FormatName,
  type Graph,
  type GraphBuilder,
  type LlamaConfig,
  llamaGraph,
  type OpName,
  type RopeScaling,
  type Value,
  withLogProbabilities,
  withLora,
} from "@polyllama/core";
import type { HostStep } from "@polyllama/core/device";
import { formatAddress, type Parameters } from "../address.ts";
import { type Random, random } from "../random.ts";
import { type MemoryWeight, randomWeight } from "../weights.ts";

/** A graph, what it is computed from, and nothing that is too large to be moved element by element. */
export interface GradientCase {
  readonly address: string;
  /** Whose gradient it is about; absent for models. */
  readonly op?: OpName;
  /** Equal seeds give equal weights and inputs. */
  build(seed: number): GradientScript;
}

/** What a gradient is taken of, and where. */
export interface GradientScript {
  readonly graph: Graph;
  readonly weights: readonly MemoryWeight[];
  readonly step: HostStep;
}

interface Definition {
  readonly parameters?: Parameters;
  readonly rows: readonly number[];
  /** Of input tokens: 0 to this - 1, with -1 for targets. */
  readonly vocabSize?: number;
  readonly define: (g: GraphBuilder) => readonly Value[];
}

const heads = { heads: 4, kvHeads: 2, headDim: 4 };
const none: RopeScaling = { type: "none" };
const yarn: RopeScaling = {
  type: "yarn",
  factor: 4,
  originalContextLength: 64,
  betaFast: 32,
  betaSlow: 1,
  magnitude: 1.1386,
};

const definitions: Partial<Record<OpName, readonly Definition[]>> = {
  embedding: [
    { rows: [7], vocabSize: 5, define: (g) => [g.embedding("y", g.tokens("tokens"), g.weight("table", [5, 6]))] },
  ],
  rmsNorm: [1e-5, 0.5].map((eps) => ({
    parameters: { eps },
    rows: [4],
    define: (g) => [g.rmsNorm("y", g.activations("x", 9), g.weight("w", [9]), { eps })],
  })),
  linear: [{ rows: [5], define: (g) => [g.linear("y", g.activations("x", 7), g.weight("w", [6, 7]))] }],
  rope: [[none, "none"] as const, [{ type: "linear", factor: 2 }, "linear"] as const, [yarn, "yarn"] as const].map(
    ([scaling, name]) => ({
      parameters: { scaling: name },
      rows: [3, 2],
      define: (g) => [g.rope("y", g.activations("x", 16), { headDim: 8, theta: 10000, scaling })],
    }),
  ),
  attention: [{ ...heads }, { heads: 3, kvHeads: 3, headDim: 2 }, { heads: 3, kvHeads: 1, headDim: 3 }].map(
    (shape) => ({
      parameters: shape,
      rows: [5, 1, 3],
      define(g) {
        const [wide, narrow] = [shape.heads * shape.headDim, shape.kvHeads * shape.headDim];
        const operands = [g.activations("q", wide), g.activations("k", narrow), g.activations("v", narrow)] as const;
        return [g.attention("y", ...operands, shape)];
      },
    }),
  ),
  swiglu: [{ rows: [4], define: (g) => [g.swiglu("y", g.activations("gate", 8), g.activations("up", 8))] }],
  add: [
    { rows: [3], define: (g) => [g.add("y", g.activations("a", 5), g.activations("b", 5))] },
    {
      parameters: { of: "itself" },
      rows: [3],
      define(g) {
        const a = g.activations("a", 5);
        return [g.add("y", a, a)];
      },
    },
  ],
  scale: [{ rows: [3], define: (g) => [g.scale("y", g.activations("x", 4), { factor: -1.1 })] }],
  logProbability: [1, 0.7].map((temperature) => ({
    parameters: { temperature },
    rows: [6],
    vocabSize: 11,
    define: (g) => [
      g.logProbability("y", g.activations("x", 5), g.tokens("targets"), g.weight("w", [11, 5]), { temperature }),
    ],
  })),
};

const modelConfig: LlamaConfig = {
  dim: 4,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 2,
  hiddenDim: 6,
  vocabSize: 7,
  contextLength: 16,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: none,
  tiedEmbeddings: false,
};

/** Cases of every op that has a gradient, and of models. */
export function gradientCases(): readonly GradientCase[] {
  const ops = Object.entries(definitions) as readonly (readonly [OpName, readonly Definition[]])[]; // its own keys
  const single = ops.flatMap(([op, all]) =>
    all.map(({ parameters = {}, define, ...given }): GradientCase => {
      const address = formatAddress("gradient", op, parameters);
      return { address, op, build: (seed) => script(buildGraph(define), given, random(address, seed)) };
    }),
  );
  const models = [false, true].map((tiedEmbeddings): GradientCase => {
    const address = formatAddress("gradient", "model", { tied: tiedEmbeddings ? 1 : 0 });
    const graph = withLogProbabilities(llamaGraph({ ...modelConfig, tiedEmbeddings }));
    const given = { rows: [5, 3], vocabSize: modelConfig.vocabSize };
    return { address, build: (seed) => script(graph, given, random(address, seed)) };
  });
  return [...single, ...models, adaptedModel(), ...(["q4_0", "q8_0", "q4_k"] as const).map(adaptedBlocks)];
}

/** A model with an adapter. */
function adaptedModel(): GradientCase {
  const { graph } = withLora(llamaGraph(modelConfig), {
    rank: 2,
    alpha: 3,
    targets: ["attention.wk", "feed_forward.w2"],
  });
  const address = formatAddress("gradient", "model", { adapter: 1 });
  const given = { rows: [5, 3], vocabSize: modelConfig.vocabSize };
  return { address, build: (seed) => script(withLogProbabilities(graph), given, random(address, seed)) };
}

/** An adapter of matrices in blocks, through which its gradient has to pass. */
function adaptedBlocks(format: FormatName): GradientCase {
  const address = formatAddress("gradient", "adapter", { format });
  const [w1, wo] = ["layers.0.feed_forward.w1.weight", "layers.0.attention.wo.weight"];
  const plain = buildGraph((g) => {
    const hidden = g.linear("hidden", g.activations("x", 256), g.weight(w1, [256, 256])); // [N, 256]
    return [g.linear("y", g.swiglu("gated", hidden, hidden), g.weight(wo, [3, 256]))]; // [N, 3]
  });
  const { graph } = withLora(plain, { rank: 1, alpha: 0.75, targets: ["feed_forward.w1", "attention.wo"] });
  return {
    address,
    build(seed) {
      const stream = random(address, seed);
      const made = script(graph, { rows: [2] }, stream);
      const stored = (weight: MemoryWeight): MemoryWeight =>
        [w1, wo].includes(weight.name) ? randomWeight(weight.name, weight.shape, format, stream) : weight;
      return { ...made, weights: made.weights.map(stored) };
    },
  };
}

function script(
  graph: Graph,
  { rows, vocabSize = 0 }: Pick<Definition, "rows" | "vocabSize">,
  stream: Random,
): GradientScript {
  const total = rows.reduce((sum, count) => sum + count, 0);
  const inputs = graph.inputs.map((input) => {
    if (input.kind !== "tokens") return [input.name, drawn(total * input.width, 1, stream)] as const;
    const least = input.name === "targets" ? -1 : 0;
    return [input.name, Int32Array.from({ length: total }, () => least + stream.integer(vocabSize - least))] as const;
  });
  const weights = graph.weights.map(({ name, shape }): MemoryWeight => {
    const [columns = 1] = shape.slice(-1);
    const values = drawn(
      shape.reduce((a, b) => a * b, 1),
      shape.length === 1 ? 1 : 1 / Math.sqrt(columns),
      stream,
    );
    return { name, shape, format: "f32", bytes: new Uint8Array(Float32Array.from(values).buffer) };
  });
  return {
    graph,
    weights,
    step: { inputs: Object.fromEntries(inputs), sequences: rows.map((count) => ({ rows: count })) },
  };
}

/** Numbers of few bits: moved by a step they still are f32. */
function drawn(count: number, deviation: number, stream: Random): Float64Array {
  return Float64Array.from({ length: count }, () => Math.round(stream.normal() * deviation * 2 ** 12) / 2 ** 12);
}
