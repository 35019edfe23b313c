// Compares backends on a whole model, on this device, with the float64 reference as the judge. Three views of it: every
// operation alone, against its derived bound; every layer alone, against an estimated tolerance; the logits of a text. In the
// first two a backend is fed what the reference computed up to there, so that an error is seen where it is made and
// not where it arrives.
//
// The reference walks through the model once, and its perturbed runs walk beside it (walk.ts). A backend is compiled as a
// whole, for the logits, and for every part that is compared.

import { compileReference } from "@polyllama/backend-reference";
import {
  type Backend,
  CheckpointError,
  checkNumber,
  checkOptions,
  type DeviceInfo,
  type Graph,
  type LlamaConfig,
  llamaGraph,
  llamaLayerGraph,
  type Node,
  operands,
  PolyllamaError,
  type Program,
  type Progress,
  parameterCount,
  parameters,
  type RealArray,
  type Tensor,
  type ValueName,
  type WeightSource,
} from "@polyllama/core";
import { type Activations, roundedActivations } from "../activations.ts";
import { compareLogits } from "./end-to-end.ts";
import { extract } from "./extract.ts";
import { measure } from "./measure.ts";
import {
  type Compared,
  type EndToEnd,
  exceeds,
  type LayerFinding,
  larger,
  type Measured,
  type ModelComparison,
  type NotRun,
  type OpFinding,
} from "./result.ts";
import { agreement, disagreement, firstDivergence } from "./verdict.ts";
import { type PerRow, type Walker, walk } from "./walk.ts";
import { comparisonWork, linearWork, products } from "./work.ts";

/** Weights with the configuration that says what model they are; every checkpoint is one. */
export interface ModelSource extends WeightSource {
  readonly config: LlamaConfig;
}

/** A backend that could not be created here, and why. It is reported as not run. */
export interface Unavailable {
  readonly name: string;
  readonly reason: string;
}

/** What `compareModel` compares, and how closely. */
export interface CompareOptions {
  /** The text, as tokens; the backends are given each of them, whatever they would have chosen. */
  readonly tokens: readonly number[];
  /** Layers whose operations are compared one by one; default: first, middle and last. A layer that differs is added. */
  readonly layers?: "all" | readonly number[];
  /** Perturbed runs of the reference that tolerances are estimated from; default 16. */
  readonly runs?: number;
  /** For the perturbations; default 1. */
  readonly seed?: number;
  /** Steps done so far, of all backends. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What all parts of a comparison share. */
interface Context {
  readonly source: ModelSource;
  /** The whole model. */
  readonly graph: Graph;
  /** [N] */
  readonly tokens: Int32Array;
  readonly runs: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** Counts multiply-adds per token as done. */
  advance(work: number): void;
}

/** A backend under comparison. */
interface Rival {
  readonly backend: Backend;
  readonly device: DeviceInfo;
  /** The whole model. */
  readonly program: Program;
  readonly activations: Activations;
  /** The residual stream of each perturbed run, [N, D]. */
  chains: readonly RealArray[];
  readonly ops: OpFinding[];
  readonly layers: LayerFinding[];
  endToEnd: EndToEnd | undefined;
}

/**
 * Compares each backend with the float64 reference, which always judges. A backend that cannot compile the model here is
 * "not run" and counts as no agreement; one that fails later differs, at the place where it failed.
 *
 * @param backends Stay the caller's: they are not disposed.
 * @throws {PolyllamaError} `ERR_OPTION`; {@link CheckpointError} when the model itself cannot be read; the signal's reason.
 */
export async function compareModel(
  source: ModelSource,
  backends: readonly (Backend | Unavailable)[],
  options: CompareOptions,
): Promise<ModelComparison> {
  checkOptions(options, ["tokens", "layers", "runs", "seed", "onProgress", "signal"], "compareModel()");
  const { config } = source;
  const { runs = 16, seed = 1, onProgress, signal } = options;
  checkNumber(runs, "runs", { least: 1, most: 1000, integer: true });
  checkNumber(seed, "seed", { least: 0, most: 2 ** 32 - 1, integer: true });
  const tokens = checkTokens(options.tokens, config);
  const opLayers = chooseLayers(options.layers, config);
  const graph = llamaGraph(config);

  const entries: (Rival | NotRun)[] = [];
  const rivals: Rival[] = [];
  try {
    for (const candidate of backends) {
      const entry = await open(candidate, graph, source, signal);
      entries.push(entry);
      if (!("status" in entry)) rivals.push(entry);
    }
    const roundings = rivals.map(({ backend }) => backend.roundings);
    const total = tokens.length * comparisonWork(config, roundings, runs, opLayers.length);
    let done = 0;
    const advance = (part: number): void => {
      signal?.throwIfAborted();
      done = Math.min(total, done + part * tokens.length);
      onProgress?.({ phase: "comparing", done, total, unit: "steps" });
    };
    if (rivals.length > 0) {
      await compareAll({ source, graph, tokens, runs, seed, signal, advance }, rivals, opLayers);
    }
    onProgress?.({ phase: "comparing", done: total, total, unit: "steps" });
  } finally {
    for (const { program } of rivals) await program[Symbol.asyncDispose]();
  }

  const order = graph.nodes.map(({ output }) => output);
  const results = entries.map((entry) => ("status" in entry ? entry : conclude(entry, order, tokens.length)));
  return {
    model: source.name,
    config,
    parameters: parameterCount(config),
    tokens: [...tokens],
    opLayers,
    runs,
    seed,
    judge: "reference",
    backends: results,
    agrees: results.length > 0 && results.every(({ status }) => status === "agrees"),
    verdict: results.map(({ verdict }) => verdict).join("; "),
  };
}

function checkTokens(tokens: readonly number[], { vocabSize }: LlamaConfig): Int32Array {
  if (tokens.length === 0) throw new PolyllamaError("ERR_OPTION", "A comparison needs one or more tokens.");
  for (const token of tokens) checkNumber(token, "a token", { least: 0, most: vocabSize - 1, integer: true });
  return Int32Array.from(tokens);
}

function chooseLayers(wanted: CompareOptions["layers"], { layers }: LlamaConfig): readonly number[] {
  if (wanted === "all") return Array.from({ length: layers }, (_, layer) => layer);
  for (const layer of wanted ?? []) checkNumber(layer, "a layer", { least: 0, most: layers - 1, integer: true });
  const chosen = wanted ?? [0, Math.floor(layers / 2), layers - 1];
  return [...new Set(chosen)].sort((a, b) => a - b);
}

async function open(
  candidate: Backend | Unavailable,
  graph: Graph,
  source: ModelSource,
  signal: AbortSignal | undefined,
): Promise<Rival | NotRun> {
  const { name } = candidate;
  const notRun = (reason: string): NotRun => {
    return { status: "not run", name, reason, verdict: `${name} not run: ${reason}` };
  };
  if (!("compile" in candidate)) return notRun(candidate.reason);
  return attempt<Rival | NotRun>(
    signal,
    async () => ({
      backend: candidate,
      device: candidate.describe(),
      program: await candidate.compile(graph, source, signal && { signal }),
      activations: activationsOf(candidate, graph, source),
      chains: [],
      ops: [],
      layers: [],
      endToEnd: undefined,
    }),
    notRun,
  );
}

function activationsOf({ roundings }: Backend, graph: Graph, source: ModelSource): Activations {
  const names = graph.nodes.flatMap((node) => (node.op === "linear" ? [node.weight] : []));
  return roundedActivations(
    roundings,
    names.flatMap((name) => source.weights.get(name)?.format ?? []),
  );
}

function conclude(rival: Rival, order: readonly ValueName[], rows: number): Compared {
  const { backend, device, activations, ops, layers } = rival;
  const { name } = backend;
  const endToEnd = rival.endToEnd!; // the walk has ended
  const first = firstDivergence(order, { ops, layers, endToEnd });
  const verdict = first === null ? agreement({ name, ops, layers, endToEnd }, rows) : disagreement(name, first);
  const status = first === null ? "agrees" : "differs";
  return { status, name, device, activations, ops, layers, endToEnd, first, verdict };
}

/** Through the model from the tokens to the logits. */
async function compareAll(context: Context, rivals: readonly Rival[], opLayers: readonly number[]): Promise<void> {
  const { source, graph, tokens, runs, signal } = context;
  const [embedding] = graph.nodes;
  let x = await embed(context); // [N, D]
  await compareOp(context, rivals, undefined, graph, embedding!, new Map([["tokens", tokens]]));
  for (const rival of rivals) rival.chains = Array.from({ length: runs }, () => x);

  for (let layer = 0; layer < source.config.layers; layer++) {
    x = await compareLayer(context, rivals, layer, x, opLayers.includes(layer));
  }

  const head = extract(graph, graph.nodes.slice(-2)); // norm and logits
  const { exact, walkers } = await walk(head, source, x, chainsOf(rivals), context);
  const values = roundedValues(head, x, exact);
  for (const node of head.nodes) await compareOp(context, rivals, undefined, head, node, values);
  for (const [i, rival] of rivals.entries()) {
    const { program, activations } = rival;
    const tolerance = walkers[i]!.tolerances.at(-1)!;
    rival.endToEnd = await attempt<EndToEnd>(
      signal,
      () => compareLogits(program, tokens, exact.at(-1)!, tolerance, { activations, signal }),
      (problem) => {
        return { worst: null, problem, prefilled: 0, worstRow: 0, sameToken: 0, decided: 0, meanKl: null };
      },
    );
  }
}

async function embed({ source, graph, tokens, signal }: Context): Promise<RealArray> {
  const lookUp = extract(graph, graph.nodes.slice(0, 1));
  await using program = await compileReference(lookUp, source, signal && { signal });
  const [embedded] = await program.run({ inputs: { tokens } }, lookUp.outputs, signal && { signal });
  return embedded!.data;
}

function chainsOf(rivals: readonly Rival[]): readonly Walker[] {
  return rivals.map(({ backend, chains }) => ({ backend, starts: chains }));
}

/** One layer on all backends, its operations where asked or where it differs. @returns its exact output [N, D]. */
async function compareLayer(
  context: Context,
  rivals: readonly Rival[],
  layer: number,
  x: RealArray,
  withOps: boolean,
): Promise<RealArray> {
  const { source, runs } = context;
  const graph = llamaLayerGraph(source.config, layer);
  const rounded = Float32Array.from(x);
  const starts = Array.from({ length: runs }, () => rounded);
  const alone = await walk(
    graph,
    source,
    rounded,
    rivals.map(({ backend }) => ({ backend, starts })),
    context,
  );
  const values = roundedValues(graph, rounded, alone.exact);
  for (const [i, rival] of rivals.entries()) {
    const finding = await runLayer(context, rival, graph, layer, rounded, alone.exact, alone.walkers[i]!.tolerances);
    rival.layers.push(finding);
  }
  const suspects = rivals.filter(({ layers }) => withOps || exceeds(layers.at(-1)!.worst));
  for (const node of graph.nodes) await compareOp(context, suspects, layer, graph, node, values);

  const { exact, walkers } = await walk(graph, source, x, chainsOf(rivals), context);
  for (const [i, rival] of rivals.entries()) rival.chains = walkers[i]!.ends;
  return exact.at(-1)!.data;
}

async function runLayer(
  { source, signal }: Context,
  { backend }: Rival,
  graph: Graph,
  layer: number,
  x: Float32Array,
  exact: readonly Tensor[],
  tolerances: readonly PerRow[],
): Promise<LayerFinding> {
  const { nodes, outputs } = graph;
  const compare = (actual: Tensor, i: number): Measured => {
    const { worst, problem } = measure(actual, exact[i]!, (row) => tolerances[i]![row]!);
    return { worst, problem: problem && `${nodes[i]!.output}: ${problem}` };
  };
  return attempt<LayerFinding>(
    signal,
    async () => {
      await using program = await backend.compile(graph, source, signal && { signal });
      const [output] = await program.run({ inputs: { x } }, outputs, signal && { signal });
      const whole = compare(output!, nodes.length - 1);
      const names = nodes.map((node) => node.output);
      const inner = (await program.run({ inputs: { x } }, names, signal && { signal })).map(compare);
      const values = nodes.map((node, i) => ({ value: localName(node.output), op: node.op, worst: inner[i]!.worst }));
      const [first = whole] = inner.filter(({ worst }) => exceeds(worst));
      const worst = inner.reduce((most, { worst }) => larger(most, worst), whole.worst);
      return { layer, worst, problem: first.problem, output: whole.worst, values };
    },
    (problem) => ({ layer, worst: null, problem, output: null, values: [] }),
  );
}

/** One operation alone on each of the backends. `values`: what it reads, as every backend gets it. */
async function compareOp(
  { source, signal, advance }: Context,
  rivals: readonly Rival[],
  layer: number | undefined,
  graph: Graph,
  node: Node,
  values: ReadonlyMap<ValueName, Int32Array | Float32Array>,
): Promise<void> {
  const alone = extract(graph, [node]);
  const inputs = Object.fromEntries(operands(node).map((name) => [name, values.get(name)!]));
  const [weight] = parameters(node);
  const format = weight === undefined ? undefined : source.weights.get(weight)?.format;
  const facts = {
    ...(layer !== undefined && { layer }),
    value: localName(node.output),
    op: node.op,
    ...(format !== undefined && { format }),
    widths: [...operands(node), node.output].map((name) => graph.widths.get(name)!),
  };
  if (rivals.length === 0) return;
  await using reference = await compileReference(alone, source, signal && { signal });
  for (const { backend, ops } of rivals) {
    const [expected] = await reference.runWithBounds({ inputs }, alone.outputs, backend.roundings);
    const { value, bound } = expected!;
    const finding = await attempt<Measured>(
      signal,
      async () => {
        await using program = await backend.compile(alone, source, signal && { signal });
        const [actual] = await program.run({ inputs }, alone.outputs, signal && { signal });
        const { worst, problem } = measure(actual!, value, (_, i) => bound.data[i]!);
        return { worst, problem };
      },
      (problem) => ({ worst: null, problem }),
    );
    ops.push({ ...facts, ...finding });
    advance(products(backend.roundings) * linearWork(alone));
  }
}

/** A graph's input and all its values, rounded to f32 as every backend takes them. */
function roundedValues(graph: Graph, x: RealArray, exact: readonly Tensor[]): ReadonlyMap<ValueName, Float32Array> {
  const values = new Map([[graph.inputs[0]!.name, Float32Array.from(x)]]);
  for (const [i, { output }] of graph.nodes.entries()) values.set(output, Float32Array.from(exact[i]!.data));
  return values;
}

/** `action`'s result; what a backend throws becomes a finding, unless it is about the model's files or an abort. */
async function attempt<Result>(
  signal: AbortSignal | undefined,
  action: () => Promise<Result>,
  failed: (reason: string) => Result,
): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof CheckpointError) throw error;
    return failed(error instanceof Error ? error.message : String(error));
  }
}

/** "layers.3.wo" -> "wo" */
function localName(name: ValueName): string {
  return name.replace(/^layers\.\d+\./, "");
}
