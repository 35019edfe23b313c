// Whole models, small and random, and single layers at the dimensions of the published ones. Three questions are asked. Is every
// node right, given the inputs that the backend itself computed for it: this needs no estimate, holds at any size, and
// names the first node that is wrong. Is the end right, against the estimated tolerance. And do all ways to the same
// tokens agree: prefill and decode, chunks, batches, forks, rewinds, repetition.

import { compileReference } from "@polyllama/backend-reference";
import { openSynthetic } from "@polyllama/checkpoints";
import {
  type Backend,
  buildGraph,
  type FormatName,
  type Graph,
  type LlamaConfig,
  llamaGraph,
  llamaLayerGraph,
  type Node,
  operands,
  PolyllamaError,
  type PresetName,
  type Program,
  parameters,
  presets,
  type RealArray,
  type Tensor,
  type Value,
  type WeightSource,
} from "@polyllama/core";
import { roundedActivations } from "./activations.ts";
import { formatAddress } from "./address.ts";
import { type CaseResult, compare, type Finding, guarded } from "./case.ts";
import { activations } from "./inputs.ts";
import { type Random, random } from "./random.ts";
import { smallConfig } from "./small-config.ts";
import { equalBits, estimateTolerance, greedyAgreement, toleranceRows, worstShare } from "./tolerance.ts";
import { type MemoryWeight, memoryWeights, randomWeights, readWeight, readWeightRows } from "./weights.ts";

/** A small model, compared end to end. */
export interface ModelCase {
  readonly address: string;
  /**
   * Runs it on a backend.
   *
   * @throws the backend's errors, except `ERR_UNSUPPORTED`, which is a result
   */
  run(backend: Backend, seed: number): Promise<CaseResult>;
}

interface SmallModel {
  readonly config: LlamaConfig;
  readonly format: FormatName;
  /** Whose synthetic checkpoint it is; otherwise weights are drawn from the case's seed. */
  readonly preset?: PresetName;
}

const base: LlamaConfig = { ...smallConfig, layers: 3, vocabSize: 259 };

const smallModels: Readonly<Record<string, SmallModel>> = {
  grouped: { config: base, format: "f32" },
  "multi-head": { config: { ...base, kvHeads: 4, tiedEmbeddings: true }, format: "f16" },
  "multi-query": { config: { ...base, kvHeads: 1, ropeScaling: { type: "linear", factor: 2 } }, format: "q8_0" },
  "small-heads": { config: { ...base, heads: 8, kvHeads: 4, headDim: 8, vocabSize: 1001 }, format: "q4_0" },
  "k-quants": {
    config: { ...base, dim: 256, heads: 4, kvHeads: 2, headDim: 64, hiddenDim: 512, layers: 2 },
    format: "q4_k",
  },
};

const rows = 24;

/** All model cases. The large single layers come last. */
export function modelCases(): readonly ModelCase[] {
  const small = Object.entries(smallModels).flatMap(([name, model]) =>
    Object.entries(checks).map(([check, run]) => modelCase(check, { model: name, format: model.format }, run, model)),
  );
  const overflow = modelCase("overflow", { model: "grouped", format: "f32" }, checkOverflow, {
    config: base,
    format: "f32",
  });
  const layers = (["llama-2-7b", "llama-2-13b", "llama-2-70b"] as const).flatMap((preset) =>
    (["q4_0", "q4_k"] as const).map((format) =>
      modelCase("layer", { model: preset, format }, checkLayer, { config: presets[preset], format, preset }),
    ),
  );
  return [...small, overflow, ...layers];
}

type Check = (backend: Backend, model: SmallModel, stream: Random) => Promise<Finding>;

function modelCase(
  check: string,
  parameters: Readonly<Record<string, string>>,
  run: Check,
  model: SmallModel,
): ModelCase {
  const address = formatAddress("model", check, parameters);
  // All checks of a model see the same weights and tokens, so that their findings can be compared.
  const stream = (seed: number): Random => random(`model ${parameters["model"]}`, seed);
  return { address, run: (backend, seed) => guarded(address, () => run(backend, model, stream(seed))) };
}

const checks: Readonly<Record<string, Check>> = {
  nodes: checkNodes,
  "end-to-end": checkEnd,
  paths: checkPaths,
  repetition: checkRepetition,
};

/** Every node of the model, from the backend's own inputs to it. */
async function checkNodes(backend: Backend, model: SmallModel, stream: Random): Promise<Finding> {
  const graph = llamaGraph(model.config);
  const weights = modelWeights(graph, model.format, stream);
  return verifyNodes(backend, graph, weights, { tokens: tokensOf(model, stream) }, stream);
}

/** Logits against the estimated tolerance; tokens equal wherever the two best are further apart than twice that. */
async function checkEnd(backend: Backend, model: SmallModel, stream: Random): Promise<Finding> {
  const { program, tolerance, tokens, graph } = await prepare(backend, model, stream);
  await using _ = program;
  const [logits] = await program.run({ inputs: { tokens } }, graph.outputs);
  const worst = worstShare(logits!, tolerance);
  if (!(worst <= 1)) return { worst, problem: `logits are off by ${worst.toFixed(2)} times the tolerance` };
  const { decided, wrong } = greedyAgreement(logits!, tolerance);
  if (wrong >= 0) return { worst: Infinity, problem: `row ${wrong}: another token is most probable` };
  if (roundedActivations(backend.roundings, [model.format]) === "f32" && decided < 0.95) {
    return { worst: Infinity, problem: `only ${(decided * 100).toFixed(1)} % of the positions are decided` };
  }
  return { worst, problem: undefined };
}

/** Every way to the same rows gives logits within the tolerance of the exact ones. */
async function checkPaths(backend: Backend, model: SmallModel, stream: Random): Promise<Finding> {
  const { program, tolerance, tokens } = await prepare(backend, model, stream);
  await using _ = program;
  const cacheOf = () => program.createCache(model.config.contextLength);
  let worst = 0;
  let problem: string | undefined;
  const check = (path: string, first: number, logits: Tensor): void => {
    const share = worstShare(logits, toleranceRows(tolerance, first, logits.shape[0]));
    if (share > worst || Number.isNaN(share)) worst = share;
    if (!(share <= 1))
      problem ??= `${path}: logits from row ${first} on are off by ${share.toFixed(2)} times the tolerance`;
  };
  const run = async (path: string, cache: ReturnType<typeof cacheOf>, first: number, count: number): Promise<void> => {
    const inputs = { tokens: tokens.slice(first, first + count) };
    const [logits] = await program.run({ inputs, batch: [{ rows: count, cache }] }, ["logits"]);
    check(path, first, logits!);
  };

  using decoded = cacheOf();
  for (let n = 0; n < rows; n++) await run("decode", decoded, n, 1);
  using chunked = cacheOf();
  for (const [first, count] of [
    [0, 1],
    [1, 7],
    [8, 13],
    [21, 3],
  ] as const)
    await run("chunks", chunked, first, count);
  using last = cacheOf();
  const [only] = await program.run({ inputs: { tokens }, batch: [{ rows, cache: last }] }, [
    { value: "logits", rows: "last" },
  ]);
  check("last row alone", rows - 1, only!);

  using rewound = cacheOf();
  await run("prefill", rewound, 0, 20);
  rewound.truncate(9);
  await run("rewind", rewound, 9, 6);
  using forked = await rewound.fork();
  await run("fork", forked, 15, 9);
  await run("parent of a fork", rewound, 15, 2);

  // Two sequences in one step, one of them in the middle of its text.
  using a = cacheOf();
  await run("prefill", a, 0, 10);
  using b = cacheOf();
  const inputs = { tokens: Int32Array.from([...tokens.slice(10, 14), ...tokens.slice(0, 5)]) };
  const [both] = await program.run(
    {
      inputs,
      batch: [
        { rows: 4, cache: a },
        { rows: 5, cache: b },
      ],
    },
    ["logits"],
  );
  const width = both!.shape[1];
  check("batch, first", 10, { shape: [4, width], data: both!.data.subarray(0, 4 * width) });
  check("batch, second", 0, { shape: [5, width], data: both!.data.subarray(4 * width) });
  return { worst, problem };
}

/** Five runs give the same bits, alone and beside another sequence. */
async function checkRepetition(backend: Backend, model: SmallModel, stream: Random): Promise<Finding> {
  const graph = llamaGraph(model.config);
  await using program = await backend.compile(graph, modelWeights(graph, model.format, stream));
  const tokens = tokensOf(model, stream);
  const alone = async (): Promise<RealArray> => {
    using cache = program.createCache(model.config.contextLength);
    return (await program.run({ inputs: { tokens }, batch: [{ rows, cache }] }, ["logits"]))[0]!.data;
  };
  const first = await alone();
  for (let repetition = 1; repetition < 5; repetition++) {
    if (!equalBits(first, await alone()))
      return { worst: Infinity, problem: `run ${repetition} differs from the first` };
  }
  using own = program.createCache(model.config.contextLength);
  using other = program.createCache(model.config.contextLength);
  const inputs = { tokens: Int32Array.from([...tokens.slice(3, 8), ...tokens]) };
  const batch = [
    { rows: 5, cache: other },
    { rows, cache: own },
  ];
  const [both] = await program.run({ inputs, batch }, ["logits"]);
  const beside = both!.data.subarray(5 * both!.shape[1]);
  return equalBits(first, beside)
    ? { worst: 0, problem: undefined }
    : { worst: Infinity, problem: "another sequence in the step changes the bits" };
}

/**
 * A residual stream beyond 65,504, the largest f16 number: it must come out right, or the backend must name the layer.
 */
async function checkOverflow(backend: Backend, model: SmallModel, stream: Random): Promise<Finding> {
  const graph = llamaGraph(model.config);
  const weights = randomWeights(graph, model.format, stream).map((weight) =>
    weight.name === "tok_embeddings.weight" ? scaled(weight, 2 ** 24) : weight,
  );
  const source = memoryWeights(weights);
  const tokens = tokensOf(model, stream);
  const tolerance = await estimateTolerance(graph, source, { inputs: { tokens } }, "logits", backend.roundings);
  await using program = await backend.compile(graph, source);
  try {
    const [logits, residual] = await program.run({ inputs: { tokens } }, ["logits", "layers.0.out"]);
    if (!residual!.data.some((value) => Math.abs(value) > 65504)) throw new Error("the case does not overflow f16");
    const worst = worstShare(logits!, tolerance);
    return { worst, problem: worst <= 1 ? undefined : `logits are off by ${worst.toFixed(2)} times the tolerance` };
  } catch (error) {
    const named = error instanceof PolyllamaError && error.code === "ERR_OVERFLOW" && /layers\.\d+/.test(error.message);
    if (named) return { worst: 0, problem: undefined };
    throw error;
  }
}

/** The first layer of a synthetic checkpoint at a published model's dimensions, its nodes one by one. */
async function checkLayer(backend: Backend, { config, format, preset }: SmallModel, stream: Random): Promise<Finding> {
  const graph = llamaLayerGraph(config, 0);
  await using weights = openSynthetic(`synthetic://${preset}?seed=${stream.integer(2 ** 31)}&format=${format}`);
  return verifyNodes(backend, graph, weights, { x: activations("normal", 3, config.dim, stream) }, stream);
}

/**
 * Asks a backend for every value of a graph, and holds each node against the reference given the backend's own inputs to
 * that node. Of large linears 256 output rows are computed.
 */
async function verifyNodes(
  backend: Backend,
  graph: Graph,
  weights: WeightSource,
  inputs: Readonly<Record<string, Int32Array | Float32Array>>,
  stream: Random,
): Promise<Finding> {
  const names = graph.nodes.map(({ output }) => output);
  await using program = await backend.compile(graph, weights, { wanted: names });
  const tensors = await program.run({ inputs }, names);
  const values = new Map<string, Int32Array | RealArray>(Object.entries(inputs));
  names.forEach((name, i) => {
    values.set(name, tensors[i]!.data);
  });
  let worst = 0;
  for (const [i, node] of graph.nodes.entries()) {
    const single = await isolate(graph, node, weights, stream);
    await using reference = await compileReference(single.graph, single.weights);
    const given = Object.fromEntries(operands(node).map((name) => [name, values.get(name)!]));
    const [expected] = await reference.runWithBounds({ inputs: given }, [node.output], backend.roundings);
    const finding = compare(tensors[i]!, expected!, single.columns);
    worst = Math.max(worst, finding.worst);
    if (finding.problem !== undefined)
      return { worst: finding.worst, problem: `${node.output} (${node.op}): ${finding.problem}` };
  }
  return { worst, problem: undefined };
}

/** A graph of one node, whose operands are inputs. Of large linears only some output rows are kept: `columns`. */
async function isolate(graph: Graph, node: Node, source: WeightSource, stream: Random) {
  const [name] = parameters(node);
  const info = name === undefined ? undefined : source.weights.get(name)!; // compiled before
  let columns: readonly number[] | undefined;
  let weight: MemoryWeight | undefined;
  if (info !== undefined) {
    const [rowsOfWeight = 0] = info.shape;
    if (node.op === "linear" && rowsOfWeight > 1024) {
      const picked = new Set([0, 1, 31, 32, 63, 64, rowsOfWeight - 2, rowsOfWeight - 1]);
      while (picked.size < 256) picked.add(stream.integer(rowsOfWeight));
      columns = [...picked];
    }
    weight = columns === undefined ? await readWeight(source, info) : await readWeightRows(source, info, columns);
  }
  const single = buildGraph((g) => {
    const input = (name: string): Value =>
      graph.inputs.some((given) => given.name === name && given.kind === "tokens")
        ? g.tokens(name)
        : g.activations(name, graph.widths.get(name)!);
    return [g.copy(node, input, () => g.weight(weight!.name, weight!.shape))]; // asked for by nodes that have one
  });
  return { graph: single, weights: memoryWeights(weight === undefined ? [] : [weight]), columns };
}

function modelWeights(graph: Graph, format: FormatName, stream: Random): WeightSource {
  return memoryWeights(randomWeights(graph, format, stream));
}

function tokensOf({ config }: SmallModel, stream: Random): Int32Array {
  return Int32Array.from({ length: rows }, () => stream.integer(config.vocabSize));
}

async function prepare(backend: Backend, model: SmallModel, stream: Random) {
  const graph = llamaGraph(model.config);
  const weights = modelWeights(graph, model.format, stream);
  const tokens = tokensOf(model, stream);
  const tolerance = await estimateTolerance(graph, weights, { inputs: { tokens } }, "logits", backend.roundings);
  const program: Program = await backend.compile(graph, weights);
  return { graph, tokens, tolerance, program };
}

function scaled(weight: MemoryWeight, factor: number): MemoryWeight {
  const values = new Float32Array(weight.bytes.slice().buffer).map((value) => value * factor); // f32 only
  return { ...weight, bytes: new Uint8Array(values.buffer) };
}
