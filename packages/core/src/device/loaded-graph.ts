// A graph on a device with weights of its own: for whoever wants values of a graph and shares nothing, as tests,
// conformance and tools do. What serves many users takes the device's handles itself.

import { PolyllamaError } from "../errors.ts";
import type { Graph, ValueName } from "../graph.ts";
import type { Tensor } from "../tensor.ts";
import type { WeightSource } from "../weights.ts";
import { type CachePool, cacheSpec } from "./cache.ts";
import type { Device, LoadParametersOptions, PoolSize } from "./device.ts";
import type { Parameters } from "./parameters.ts";
import type { HostArray, Output, OutputValue, Program, SequenceRows, Submission } from "./program.ts";

/**
 * A value of the graph, for all rows [N, width] or, with `rows: "last"`, the last row of each sequence [sequences,
 * width].
 */
export type Wanted = ValueName | { readonly value: ValueName; readonly rows: "last" };

/** Such a value as an output of a step. */
export type HostOutput = Extract<Output, { readonly to: "host" | "device" }> & { readonly to: "host" };

/** Rows from the host, N in all. */
export interface HostStep {
  /** Tokens [N] as Int32Array; activations [N, width]. */
  readonly inputs: Readonly<Record<ValueName, HostArray>>;
  /** Which rows belong to which sequence; default: all rows to one sequence without a cache. */
  readonly sequences?: readonly SequenceRows[];
}

/** Options of {@link loadGraph}. */
export interface LoadGraphOptions extends Omit<LoadParametersOptions, "mutable"> {
  /** What runs will ask for; default: the graph's outputs, of all rows. */
  readonly wanted?: readonly Wanted[];
}

/** A graph, its weights and its program, disposed together. Disposing it leaves the device. */
export interface LoadedGraph extends AsyncDisposable {
  readonly device: Device;
  readonly graph: Graph;
  readonly parameters: Parameters;
  readonly program: Program;
  /**
   * A pool for sequences of up to `rows` positions, one unless more are asked for; disposed with the graph, or before.
   */
  pool(rows: number, size?: Omit<PoolSize, "rows">): CachePool;
  /** Enqueues a step of rows from the host, with outputs of any kind. @throws what `Program.submit` throws */
  submit(step: HostStep, outputs: readonly Output[], signal?: AbortSignal): Submission;
  /**
   * Values on the host, one tensor per wanted entry, in order, owned by the caller.
   *
   * @throws {PolyllamaError} what `Program.submit` and its result throw; `ERR_GRAPH` for a value that the graph does
   * not define
   */
  run(step: HostStep, wanted: readonly Wanted[], signal?: AbortSignal): Promise<readonly Tensor[]>;
}

/**
 * Loads the weights of a graph and compiles it.
 *
 * @param source Must stay readable until the graph is disposed.
 * @throws what `Device.loadParameters` and `Device.compile` throw
 */
export async function loadGraph(
  device: Device,
  graph: Graph,
  source: WeightSource,
  { wanted = graph.outputs, ...options }: LoadGraphOptions = {},
): Promise<LoadedGraph> {
  const outputs = wanted.map(hostOutput);
  const parameters = await device.loadParameters([graph], source, options);
  try {
    const program = await device.compile(graph, parameters, { outputs, ...options });
    return new GraphOnDevice(device, parameters, program);
  } catch (error) {
    parameters[Symbol.dispose]();
    throw error;
  }
}

class GraphOnDevice implements LoadedGraph {
  readonly device: Device;
  readonly parameters: Parameters;
  readonly program: Program;
  readonly #pools = new Set<CachePool>();

  constructor(device: Device, parameters: Parameters, program: Program) {
    this.device = device;
    this.parameters = parameters;
    this.program = program;
  }

  get graph(): Graph {
    return this.program.graph;
  }

  pool(rows: number, size: Omit<PoolSize, "rows"> = {}): CachePool {
    const pool = this.device.cachePool(cacheSpec(this.graph), { rows, ...size });
    this.#pools.add(pool);
    return pool;
  }

  submit({ inputs, sequences }: HostStep, outputs: readonly Output[], signal?: AbortSignal): Submission {
    const hasRows = this.graph.inputs.some(({ kind }) => kind !== "fixed");
    const all = hasRows ? [{ rows: this.#rowsOf(inputs) }] : [];
    return this.program.submit({ inputs, sequences: sequences ?? all, outputs }, signal);
  }

  async run(step: HostStep, wanted: readonly Wanted[], signal?: AbortSignal): Promise<readonly Tensor[]> {
    const values = await this.submit(step, wanted.map(hostOutput), signal).result;
    return values.map(hostTensor);
  }

  /** Rows of the first input that has rows; the device compares those of the others with it. */
  #rowsOf(inputs: HostStep["inputs"]): number {
    const input = this.graph.inputs.find(({ kind }) => kind !== "fixed");
    const data = input && inputs[input.name];
    if (data === undefined) return 1; // the device says which input is missing
    return data.length / this.graph.widths.get(input!.name)!; // there is an input where there is data of it
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    for (const pool of this.#pools) pool[Symbol.dispose]();
    this.parameters[Symbol.dispose]();
  }
}

/** The output that gives what is wanted. */
export function hostOutput(wanted: Wanted): HostOutput {
  return { ...(typeof wanted === "string" ? { value: wanted, rows: "all" } : wanted), to: "host" };
}

function hostTensor(value: OutputValue): Tensor {
  if (value.to === "host") return value.tensor;
  throw new PolyllamaError("ERR_BACKEND", `A value for the host went to "${value.to}".`);
}
