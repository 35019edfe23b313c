// Runs steps of one program: cuts each into chunks, enqueues these behind one another, and gives outputs when they are
// there. The next step may begin when all chunks of the one before are enqueued. All work on the card is in order, so
// that what a step that failed or was aborted gives back (blocks, tensors) is used again only behind what is still
// under way of it.

import type { Graph } from "@polyllama/core";
import { type CacheSpec, cacheSpec, type Output, type OutputSpec } from "@polyllama/core/device";
import {
  type AcceptedStep,
  cutChunks,
  gpuRun,
  type PlanRequest,
  type StepExecutor,
  type StepRun,
  type StepTensor,
  type TensorRegister,
  UnderWay,
} from "@polyllama/planner";
import { blockBytes, blocksFor } from "../cache/layout.ts";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Gpu } from "../gpu.ts";
import type { CudaCacheFormat } from "../kernels/row.ts";
import { chunkModes } from "../modes.ts";
import { CudaTensor, type TensorMemories } from "../tensors.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { type CudaSink, chunkJob } from "./chunk-job.ts";
import { chunkRowsOf, type SequenceBlocks } from "./chunk-rows.ts";
import { Plans } from "./plans.ts";
import { runChunk } from "./run-chunk.ts";
import { Workspace } from "./workspace.ts";

/** What programs get of their device. */
export interface ExecutorHome {
  readonly gpu: Gpu;
  readonly memories: TensorMemories;
  /** Address of core's table of powers. */
  readonly powers: bigint;
  /** Of keys and values of sequences without a cache. */
  readonly format: CudaCacheFormat;
  readonly register: TensorRegister;
}

export class CudaExecutor implements StepExecutor<PoolMemory> {
  readonly #graph: Graph;
  readonly #weights: LoadedWeights;
  readonly #home: ExecutorHome;
  readonly #plans: Plans;
  readonly #workspace: Workspace;
  readonly #spec: CacheSpec;
  /** Chunks go on when their step is aborted, and use what this program holds. */
  readonly #chunks = new UnderWay();

  constructor(graph: Graph, weights: LoadedWeights, home: ExecutorHome) {
    this.#graph = graph;
    this.#weights = weights;
    this.#home = home;
    this.#plans = new Plans(graph, weights);
    this.#workspace = new Workspace(home.gpu);
    this.#spec = cacheSpec(graph);
  }

  /** Plans what steps will ask for. @throws {PolyllamaError} `ERR_UNSUPPORTED` */
  prepare(outputs: readonly OutputSpec[]): void {
    const request = this.#request(outputs, this.#spec.length > 0);
    for (const { name } of chunkModes) this.#plans.get(name, request);
  }

  owns({ storage }: StepTensor): boolean {
    return storage instanceof CudaTensor && storage.gpu === this.#home.gpu;
  }

  accept(accepted: AcceptedStep<PoolMemory>): StepRun {
    const { gpu, memories, register } = this.#home;
    const allocate = (elements: number, vocabulary: number | undefined): CudaTensor =>
      new CudaTensor(gpu, memories, elements, vocabulary);
    const runner = { name: "CUDA", graph: this.#graph, register, allocate };
    return gpuRun(runner, accepted, (sinks, signal) => this.#enqueue(accepted, sinks, signal));
  }

  /** @returns what settles when the outputs of each chunk have been taken */
  async #enqueue(
    accepted: AcceptedStep<PoolMemory>,
    sinks: readonly CudaSink[],
    signal: AbortSignal,
  ): Promise<readonly Promise<void>[]> {
    const { places, caches, step } = accepted;
    const fillsCaches = caches.some((cache) => cache !== undefined) && this.#spec.length > 0;
    const request = this.#request(
      step.outputs.filter(({ value }) => step.inputs[value] === undefined),
      fillsCaches,
    );
    const blocks = await this.#blocks(accepted);
    const runner = { workspace: this.#workspace, weights: this.#weights, powers: this.#home.powers };
    const taken: Promise<void>[] = [];
    for (const chunk of cutChunks(places.sequences, chunkModes)) {
      signal.throwIfAborted();
      const prepared = this.#plans.get(chunk.mode, request);
      if (prepared.plan.steps.length === 0) continue;
      const job = chunkJob(accepted, chunkRowsOf(chunk, places, blocks), prepared, blocks, sinks);
      const { outputs } = await runChunk(runner, job);
      taken.push(this.#chunks.add(outputs));
    }
    return taken;
  }

  /** Where sequences have their keys and values. Blocks that they share and write into are copied first. */
  async #blocks({ caches, places }: AcceptedStep<PoolMemory>): Promise<readonly (SequenceBlocks | undefined)[]> {
    if (this.#spec.length === 0) return caches.map(() => undefined);
    const { format } = this.#home;
    const bytes = blockBytes(this.#spec, format);
    const counts = places.sequences.map(({ rows }, i) => (caches[i] === undefined ? blocksFor(rows) : 0));
    await this.#workspace.blocks.ensure(bytes * counts.reduce((sum, count) => sum + count, 0), places.rows);
    let first = 0;
    return caches.map((cache, i) => {
      if (cache === undefined) {
        const table = Uint32Array.from({ length: counts[i]! }, () => first++); // one count for each sequence
        return { pool: this.#workspace.blocks.address, table, blockBytes: bytes, format, start: 0 };
      }
      const { storage } = cache.pool;
      for (const copy of cache.copies) storage.copy(copy);
      const { address, blockBytes: size, format: kept } = storage;
      return { pool: address, table: cache.table, blockBytes: size, format: kept, start: cache.start };
    });
  }

  #request(outputs: readonly (Output | OutputSpec)[], fillsCaches: boolean): PlanRequest {
    const all = outputs.filter((output) =>
      output.to === "host" || output.to === "device" ? output.rows !== "last" : false,
    );
    const names = (list: readonly (Output | OutputSpec)[]) => new Set(list.map(({ value }) => value));
    return { all: names(all), selected: names(outputs.filter((output) => !all.includes(output))), fillsCaches };
  }

  async free(): Promise<void> {
    await this.#chunks.settled();
    this.#workspace[Symbol.dispose]();
  }
}
