// A card as a device: weights, pools of KV blocks and programs on it. Nothing happens before the first use: making it
// costs nothing and needs no driver.

import {
  type CacheFormat,
  type DeviceInfo,
  exp2Table,
  type FormatName,
  type Graph,
  type MemoryEstimate,
  type Node,
  PolyllamaError,
  type RoundingProfile,
  showBriefly,
  UnsupportedError,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import {
  type CachePool,
  type CacheSpec,
  type CompileProgramOptions,
  cacheSpec,
  type Device,
  type DeviceFeatures,
  type DeviceMemory,
  type LoadParametersOptions,
  type Parameters,
  type PoolMemory as PoolSize,
  type Program,
} from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { PagedPool, ProgramFrame, poolBlocks, Resources, SharedParameters, StepQueue } from "@polyllama/planner";
import { blockBytes, blocksFor } from "./cache/layout.ts";
import { PoolMemory } from "./cache/pool-memory.ts";
import { Gpu } from "./gpu.ts";
import { kvBlockRows } from "./kernels/row.ts";
import type { DeviceMemory as CardMemory } from "./memory.ts";
import { chunkRows } from "./modes.ts";
import type { CudaOptions } from "./options.ts";
import { CudaExecutor } from "./program/executor.ts";
import { roundings } from "./roundings.ts";
import { capabilityText, versionText } from "./status.ts";
import { checkGraph, supports } from "./supports.ts";
import { TensorMemories } from "./tensors.ts";
import { placeExponents } from "./weights/exponents.ts";
import { planWeights } from "./weights/layout.ts";
import { loadWeights } from "./weights/load.ts";
import type { LoadedWeights } from "./weights/loaded.ts";

/** Least compute capability, times ten, whose tensor cores the kernels use. */
const tensorCoreCapability = 80;

/** What is there from the first use of the card on. */
interface Card {
  readonly gpu: Gpu;
  readonly memories: TensorMemories;
}

export class CudaDevice implements Device {
  readonly name = "cuda";
  readonly roundings: RoundingProfile;
  readonly formats: ReadonlySet<FormatName> = new Set(Object.keys(formats) as FormatName[]); // the record's own keys
  readonly features: DeviceFeatures = {
    outputs: ["host", "device", "token"],
    adjustments: false,
    stepsAhead: 2,
    adapters: false,
    updates: false,
    cacheExport: true,
    pagedCaches: true,
  };
  readonly #options: CudaOptions;
  readonly #cache: CacheFormat;
  readonly #activations: "f16" | "f32";
  readonly #resources = new Resources();
  readonly #queue = new StepQueue();
  #card: Card | undefined;
  /** Core's table of powers, for draws. */
  #powers: CardMemory | undefined;

  constructor(options: CudaOptions) {
    const { activations = "f16", cache = "f32" } = options;
    this.#options = options;
    this.#cache = cache;
    this.#activations = activations;
    this.roundings = roundings(activations === "f16", cache);
  }

  /** @throws {PolyllamaError} `ERR_UNSUPPORTED` where there is no driver or no card. */
  describe(): DeviceInfo {
    const { gpu } = this.#use();
    const { free, total } = gpu.driver.memoryInfo();
    return {
      backend: this.name,
      device: gpu.name,
      details: {
        "compute capability": capabilityText(gpu.capability),
        driver: `CUDA ${versionText(gpu.driver.version)}`,
        library: gpu.driver.path,
        kernels: gpu.images.target,
        activations: this.#tensorCores(gpu) ? "f16" : "f32",
        "memory, bytes": total,
        "free, bytes": free,
      },
    };
  }

  supports(node: Node): true | UnsupportedError {
    return supports(node);
  }

  async memory(): Promise<DeviceMemory> {
    const { gpu } = this.#use();
    return { allocated: gpu.allocated, ...gpu.driver.memoryInfo() };
  }

  /** What the card has left, whoever uses the rest. @throws {PolyllamaError} `ERR_UNSUPPORTED` */
  get freeMemory(): number {
    return this.#use().gpu.freeMemory;
  }

  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, rows: number): MemoryEstimate {
    let widest = 0;
    for (const width of graph.widths.values()) widest = Math.max(widest, width);
    const layout = planWeights([graph], weights);
    return {
      weights: layout.bytes + placeExponents(layout).bytes,
      cache: blocksFor(rows) * blockBytes(cacheSpec(graph), this.#cache),
      scratch: 4 * Math.min(chunkRows, rows) * 6 * widest + (64 << 20),
    };
  }

  async loadParameters(
    graphs: readonly Graph[],
    source: WeightSource,
    options: LoadParametersOptions = {},
  ): Promise<Parameters> {
    const { mutable = false, onProgress, signal } = options;
    if (mutable) {
      throw new UnsupportedError("The CUDA backend does not update parameters", "Leave `mutable` out.", {
        op: "updates",
      });
    }
    return this.#resources.load(signal, async (signal) => {
      for (const graph of graphs) checkGraph(graph);
      const { gpu } = this.#use();
      const options = { signal, tensorCores: this.#tensorCores(gpu), ...(onProgress && { onProgress }) };
      const loaded = await loadWeights(gpu, graphs, source, options);
      const parameters: SharedParameters<LoadedWeights> = new SharedParameters(loaded, this, {
        onFree: () => this.#resources.delete(parameters),
      });
      this.#resources.add(parameters);
      return parameters;
    });
  }

  cachePool(spec: CacheSpec, size: PoolSize): CachePool {
    const blocks = poolBlocks(size, kvBlockRows);
    const { rows, sequences = 1, format = this.#cache } = size;
    const { gpu } = this.#use();
    const pool: PagedPool<PoolMemory> = new PagedPool({
      spec,
      format,
      blockRows: kvBlockRows,
      blocks,
      storage: new PoolMemory(gpu, spec, format, blocks, `a cache of ${rows * sequences} positions in ${format}`),
      owner: this,
      settled: () => this.#queue.settled(),
      onFree: () => this.#resources.delete(pool),
    });
    this.#resources.add(pool);
    return pool;
  }

  async compile(graph: Graph, parameters: Parameters, options: CompileProgramOptions = {}): Promise<Program> {
    return this.#resources.load(options.signal, async () => {
      checkGraph(graph);
      const own = this.#own(parameters);
      checkLayout(graph, own.storage);
      const { gpu, memories } = this.#use();
      const executor = new CudaExecutor(graph, own.storage, {
        gpu,
        memories,
        powers: (await this.#powerTable(gpu)).address,
        format: this.#cache,
        opened: (tensor) => this.#resources.add(tensor),
        closed: (tensor) => this.#resources.delete(tensor),
      });
      executor.prepare(options.outputs ?? graph.outputs.map((value) => ({ value, to: "host" })));
      const program = new ProgramFrame({
        graph,
        parameters: own,
        owner: this,
        queue: this.#queue,
        executor,
        onDispose: (gone) => this.#resources.delete(gone),
      });
      this.#resources.addProgram(program);
      return program;
    });
  }

  async #powerTable(gpu: Gpu): Promise<CardMemory> {
    if (this.#powers !== undefined) return this.#powers;
    const table = gpu.allocate(exp2Table.byteLength, "the sampler");
    this.#powers = table;
    using staging = gpu.allocateHost(exp2Table.byteLength, "the sampler");
    new Uint32Array(staging.buffer).set(exp2Table);
    gpu.copyToDevice(table.address, staging.address, exp2Table.byteLength);
    await gpu.finished();
    return table;
  }

  /** @throws {PolyllamaError} `ERR_PARAMETERS` for those of another device, `ERR_DISPOSED` */
  #own(parameters: Parameters): SharedParameters<LoadedWeights> {
    if (parameters instanceof SharedParameters && parameters.owner === this) {
      parameters.assertAlive();
      return parameters as SharedParameters<LoadedWeights>; // this device has no others
    }
    throw new PolyllamaError("ERR_PARAMETERS", "Parameters belong to the device that loaded them; load them here.");
  }

  #tensorCores(gpu: Gpu): boolean {
    return this.#activations === "f16" && gpu.capability >= tensorCoreCapability;
  }

  #use(): Card {
    this.#resources.assertAlive();
    if (this.#card === undefined) {
      const gpu = new Gpu({ device: 0, ...this.#options });
      this.#card = { gpu, memories: new TensorMemories(gpu) };
    }
    return this.#card;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.dispose(() => {
      this.#powers?.[Symbol.dispose]();
      this.#card?.memories[Symbol.dispose]();
      this.#card?.gpu.dispose();
    });
  }
}

showBriefly(CudaDevice.prototype, "Device", ({ name }) => ({ name }));

/** @throws {PolyllamaError} `ERR_PARAMETERS` where a weight is missing, or not there for what the graph does with it */
function checkLayout(graph: Graph, { layout }: LoadedWeights): void {
  const vectors = new Set(layout.vectors.map(({ name }) => name));
  for (const node of graph.nodes) {
    const name =
      node.op === "linear" || node.op === "rmsNorm" ? node.weight : node.op === "embedding" ? node.table : "";
    const there = node.op === "rmsNorm" ? vectors.has(name) : layout.places.has(name);
    const group = layout.places.get(name)?.group;
    if (name === "" || (there && (node.op !== "linear" || layout.multiplied.has(group!)))) continue; // it has a place
    throw new PolyllamaError(
      "ERR_PARAMETERS",
      `The parameters were not loaded for ${node.op} with "${name}"; name this graph, too, when they are loaded.`,
    );
  }
}
