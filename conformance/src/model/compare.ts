// Compares backends on a whole model, on this device, with the float64 reference as the judge. Three views of it: every
// operation alone, against its derived bound; every layer alone, against an estimated tolerance; the logits of a text. In the
// first two a backend is fed what the reference computed up to there, so that an error is seen where it is made and
// not where it arrives.
//
// The reference walks through the model layer by layer, and its perturbed runs walk beside it, so that only one layer's
// weights are in memory as float64 loops want them. A backend is also compiled as a whole, for the logits.

import { compileReference, type ReferenceProgram } from "@polyllama/backend-reference";
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
  type RealArray,
  type Step,
  type Tensor,
  type ValueName,
  type WeightSource,
} from "@polyllama/core";
import { compareLogits } from "./end-to-end.ts";
import { extract, weightOf } from "./extract.ts";
import { createSpread, measure } from "./measure.ts";
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
import { type Work, workOf, workPerToken } from "./work.ts";

/** Weights with the configuration that says what model they are; every checkpoint is one. */
export interface ModelSource extends WeightSource {
  readonly config: LlamaConfig;
}

/** A backend that could not be created here, and why. It is reported as not run. */
export interface Unavailable {
  readonly name: string;
  readonly reason: string;
}

export interface CompareOptions {
  /** The text, as tokens; the backends are given each of them, whatever they would have chosen. */
  readonly tokens: readonly number[];
  /** Layers whose operations are compared one by one; default: first, middle and last. A layer that differs is added. */
  readonly layers?: "all" | readonly number[];
  /** Perturbed runs of the reference that tolerances are estimated from; default 16. */
  readonly runs?: number;
  /** For the perturbations; default 1. */
  readonly seed?: number;
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
  readonly work: Work;
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
  readonly int8Activations: boolean;
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
    const total = tokens.length * workPerToken(config, roundings, runs, opLayers.length);
    let done = 0;
    const advance = (part: number): void => {
      signal?.throwIfAborted();
      done = Math.min(total, done + part * tokens.length);
      onProgress?.({ phase: "comparing", done, total });
    };
    const context: Context = { source, graph, tokens, runs, seed, work: workOf(config, runs), signal, advance };
    if (rivals.length > 0) await walk(context, rivals, opLayers);
    onProgress?.({ phase: "comparing", done: total, total });
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
      int8Activations: roundsActivations(candidate, graph, source),
      chains: [],
      ops: [],
      layers: [],
      endToEnd: undefined,
    }),
    notRun,
  );
}

function roundsActivations({ roundings }: Backend, graph: Graph, source: ModelSource): boolean {
  return graph.nodes.some((node) => {
    const format = node.op === "linear" && source.weights.get(node.weight)?.format;
    return format !== false && format !== undefined && roundings.int8Activations?.formats.includes(format) === true;
  });
}

function conclude(rival: Rival, order: readonly ValueName[], rows: number): Compared {
  const { backend, device, int8Activations, ops, layers } = rival;
  const { name } = backend;
  const endToEnd = rival.endToEnd!; // the walk has ended
  const first = firstDivergence(order, { ops, layers, endToEnd });
  const verdict = first === null ? agreement({ name, ops, layers, endToEnd }, rows) : disagreement(name, first);
  const status = first === null ? "agrees" : "differs";
  return { status, name, device, int8Activations, ops, layers, endToEnd, first, verdict };
}

/** Through the model from the tokens to the logits. */
async function walk(context: Context, rivals: readonly Rival[], opLayers: readonly number[]): Promise<void> {
  const { source, graph, tokens, signal } = context;
  const [embedding] = graph.nodes;
  const ends = graph.nodes.slice(-2); // norm and logits
  let x: RealArray; // [N, D]
  {
    await using table = await compileReference(extract(graph, [embedding!]), source, signal && { signal });
    const [embedded] = await table.run({ inputs: { tokens } }, [embedding!.output], signal && { signal });
    x = embedded!.data;
  }
  await compareOp(context, rivals, undefined, graph, embedding!, new Map([["tokens", tokens]]));
  for (const rival of rivals) rival.chains = Array.from({ length: context.runs }, () => x);

  for (let layer = 0; layer < source.config.layers; layer++) {
    x = await compareLayer(context, rivals, layer, x, opLayers.includes(layer));
  }

  const head = extract(graph, ends);
  const stream = head.inputs[0]!.name; // the last layer's output
  await using program = await compileReference(head, source, signal && { signal });
  const rounded = { inputs: { [stream]: Float32Array.from(x) } };
  const values = await namedValues(program, rounded, signal);
  for (const node of ends) await compareOp(context, rivals, undefined, graph, node, values);
  const [exact] = await program.run({ inputs: { [stream]: x } }, head.outputs, signal && { signal });
  context.advance(context.work.head);
  for (const rival of rivals) {
    context.advance(context.work.opsOfHead(rival.backend.roundings));
    rival.endToEnd = await compareEndToEnd(context, rival, head, exact!);
  }
}

/** One layer on all backends, its operations where asked or where it differs. @returns its exact output [N, D]. */
async function compareLayer(
  context: Context,
  rivals: readonly Rival[],
  layer: number,
  x: RealArray,
  withOps: boolean,
): Promise<RealArray> {
  const { source, signal, work, advance } = context;
  const graph = llamaLayerGraph(source.config, layer);
  await using program = await compileReference(graph, source, signal && { signal });
  const rounded = { inputs: { x: Float32Array.from(x) } };
  const names = graph.nodes.map(({ output }) => output);
  const exact = await program.run(rounded, names, signal && { signal });
  const [next] = await program.run({ inputs: { x } }, graph.outputs, signal && { signal });
  advance(work.layer);

  const suspects: Rival[] = [];
  for (const rival of rivals) {
    const tolerances = await layerTolerances(context, rival, graph, layer, rounded, exact);
    const finding = await runLayer(context, rival, graph, layer, rounded, exact, tolerances);
    rival.layers.push(finding);
    if (withOps || exceeds(finding.worst)) suspects.push(rival);
  }
  if (suspects.length > 0) {
    const values = await namedValues(program, rounded, signal);
    for (const node of graph.nodes) await compareOp(context, suspects, layer, graph, node, values);
    if (withOps) for (const { backend } of suspects) advance(work.opsOfLayer(backend.roundings));
  }
  return next!.data;
}

/** What is allowed per row of each of the layer's values; moves the perturbed runs on through the layer. */
async function layerTolerances(
  { source, seed, runs, signal, work, advance }: Context,
  rival: Rival,
  graph: Graph,
  layer: number,
  step: Step,
  exact: readonly Tensor[],
): Promise<readonly Float64Array[]> {
  const { roundings } = rival.backend;
  const perturb = { rounding: roundings, seed: streamSeed(seed, layer) };
  await using noisy = await compileReference(graph, source, { perturb, ...(signal && { signal }) });
  const spreads = exact.map(createSpread);
  const names = graph.nodes.map(({ output }) => output);
  const chains: RealArray[] = [];
  for (const chain of rival.chains) {
    const moved = await noisy.run(step, names, signal && { signal });
    for (const [i, spread] of spreads.entries()) spread.add(moved[i]!);
    const [next] = await noisy.run({ inputs: { x: chain } }, graph.outputs, signal && { signal });
    chains.push(next!.data);
    advance(work.noisyLayer(roundings) / runs);
  }
  rival.chains = chains;
  return spreads.map(({ perRow }) => perRow);
}

async function runLayer(
  { source, signal }: Context,
  { backend }: Rival,
  graph: Graph,
  layer: number,
  step: Step,
  exact: readonly Tensor[],
  tolerances: readonly Float64Array[],
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
      const [output] = await program.run(step, outputs, signal && { signal });
      const whole = compare(output!, nodes.length - 1);
      const names = nodes.map((node) => node.output);
      const inner = (await program.run(step, names, signal && { signal })).map(compare);
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
  { source, signal }: Context,
  rivals: readonly Rival[],
  layer: number | undefined,
  graph: Graph,
  node: Node,
  values: ReadonlyMap<ValueName, Int32Array | Float32Array>,
): Promise<void> {
  const alone = extract(graph, [node]);
  const inputs = Object.fromEntries(operands(node).map((name) => [name, values.get(name)!]));
  const weight = weightOf(node);
  const format = weight === undefined ? undefined : source.weights.get(weight)?.format;
  const facts = {
    ...(layer !== undefined && { layer }),
    value: localName(node.output),
    op: node.op,
    ...(format !== undefined && { format }),
    widths: [...operands(node), node.output].map((name) => graph.widths.get(name)!),
  };
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
  }
}

async function compareEndToEnd(
  { source, tokens, seed, runs, signal, work, advance }: Context,
  rival: Rival,
  head: Graph,
  exact: Tensor,
): Promise<EndToEnd> {
  const { backend, program, chains, int8Activations } = rival;
  const perturb = { rounding: backend.roundings, seed: streamSeed(seed, source.config.layers) };
  await using noisy = await compileReference(head, source, { perturb, ...(signal && { signal }) });
  const spread = createSpread(exact);
  for (const chain of chains) {
    const [moved] = await noisy.run({ inputs: { [head.inputs[0]!.name]: chain } }, head.outputs, signal && { signal });
    spread.add(moved!);
    advance(work.noisyHead(backend.roundings) / runs);
  }
  return attempt<EndToEnd>(
    signal,
    () => compareLogits(program, tokens, exact, spread.perRow, { int8Activations, signal }),
    (problem) => {
      return { worst: null, problem, prefilled: 0, worstRow: 0, sameToken: 0, decided: 0, meanKl: null };
    },
  );
}

/** A program's inputs and all its values, rounded to f32 as every backend takes them. */
async function namedValues(
  program: ReferenceProgram,
  step: { readonly inputs: Readonly<Record<ValueName, Float32Array>> },
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<ValueName, Float32Array>> {
  const names = program.graph.nodes.map(({ output }) => output);
  const tensors = await program.run(step, names, signal && { signal });
  const values = new Map(Object.entries(step.inputs));
  for (const [i, { data }] of tensors.entries()) values.set(names[i]!, Float32Array.from(data));
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

/** Seeds of perturbations, one per part of the model, that differ in many bits; the lowest one is not used. */
function streamSeed(seed: number, part: number): number {
  return Math.imul(seed * 8191 + part + 1, 0x9e3779b1) << 1;
}
