// Runs steps of one program: cuts each into chunks, enqueues these behind one another, and gives outputs when they are
// there. Sequences that advance by one row are computed together, all others in pieces of up to 128 rows, so that
// scratch memory is bounded whatever the step. All work on the device is in order, so that the next step may begin when
// the chunks of the one before are enqueued, and what a step that failed or was aborted gives back (blocks, tensors) is
// used again only behind what is still under way of it.

import { type Graph, PolyllamaError } from "@polyllama/core";
import { type CacheSpec, cacheSpec, type OutputSpec, type Step } from "@polyllama/core/device";
import {
  type AcceptedStep,
  type ChunkMode,
  gpuRun,
  type StepExecutor,
  type StepRun,
  type StepTensor,
  type TensorRegister,
  UnderWay,
} from "@polyllama/planner";
import { partialBytes } from "../cache/layout.ts";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Gpu } from "../gpu.ts";
import { chunkModes, type Mode } from "../modes.ts";
import { GpuTensor, TensorMemories } from "../tensors.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { type PlacedChunk, placeChunks } from "./chunk.ts";
import type { Meter } from "./meter.ts";
import type { GpuSink } from "./outputs.ts";
import { type Asked, Plans } from "./plans.ts";
import type { Home, PreparedPlan } from "./prepared-plan.ts";
import { readBack } from "./read-back.ts";
import { type ChunkRunner, placeBlocks, runChunk, type StepChunks } from "./run-chunk.ts";
import { Scratch } from "./scratch.ts";
import { ScratchPool } from "./scratch-pool.ts";
import { Submissions } from "./submit.ts";

export class WebGpuExecutor implements StepExecutor<PoolMemory> {
  readonly #graph: Graph;
  readonly #gpu: Gpu;
  readonly #home: Home;
  readonly #plans: Plans;
  readonly #register: TensorRegister;
  readonly #tensors: TensorMemories;
  readonly #spec: CacheSpec;
  readonly #scratchPool: ScratchPool;
  readonly #modes: readonly ChunkMode<Mode>[];
  readonly #runner: ChunkRunner;
  /** Pieces of keys that fit what split attention keeps between its kernels. */
  readonly #mostSplits: number;
  /** Chunks go on when their step is aborted, and use what this program holds. */
  readonly #underWay = new UnderWay();

  private constructor(graph: Graph, home: Home, register: TensorRegister, meter: Meter) {
    const { gpu, layout } = home;
    this.#graph = graph;
    this.#gpu = gpu;
    this.#home = home;
    this.#register = register;
    this.#tensors = new TensorMemories(gpu);
    this.#spec = cacheSpec(graph);
    this.#scratchPool = new ScratchPool(gpu, this.#spec);
    const splitBytes = partialBytes(graph.nodes.filter((node) => node.op === "attention"));
    this.#runner = { home, meter, splitBytes };
    this.#mostSplits = Math.max(1, Math.floor(gpu.limits.maxStorageBufferBindingSize / Math.max(1, splitBytes)));
    let widest = 1;
    for (const width of graph.widths.values()) widest = Math.max(widest, width);
    for (const { rows } of layout.groups) widest = Math.max(widest, rows);
    this.#modes = chunkModes(widest, gpu.limits.maxStorageBufferBindingSize);
    const rows = { decode: 1, prefill: 1 };
    for (const mode of this.#modes) rows[mode.name] = mode.rows;
    this.#plans = new Plans(graph, home, rows);
  }

  /** @throws {MemoryError} */
  static async create(
    graph: Graph,
    { gpu, layout, buffers: weights }: LoadedWeights,
    register: TensorRegister,
    meter: Meter,
  ): Promise<WebGpuExecutor> {
    const scratch = await gpu.guard("scratch memory", () => new Scratch(gpu));
    return new WebGpuExecutor(graph, { gpu, layout, weights, scratch }, register, meter);
  }

  /** Compiles what steps will need for the given outputs. */
  async prepare(outputs: readonly OutputSpec[]): Promise<void> {
    const asked = outputs.map(({ value, rows, to }): Asked => {
      const last = rows === "last" || (rows === undefined && to === "token");
      return { value, rows: last ? "selected" : "all" };
    });
    const fills = this.#spec.length > 0;
    await Promise.all(this.#modes.map(({ name }) => this.#plans.get(name, asked, fills)));
  }

  owns({ storage }: StepTensor): boolean {
    return storage instanceof GpuTensor && storage.gpu === this.#gpu;
  }

  accept(accepted: AcceptedStep<PoolMemory>): StepRun {
    this.#gpu.assertAlive();
    for (const cache of accepted.caches) {
      if (cache === undefined || cache.pool.storage.gpu === this.#gpu) continue;
      throw new PolyllamaError("ERR_DEVICE_LOST", "The cache was on a device that is lost; open another one.");
    }
    const allocate = (elements: number, vocabulary: number | undefined): GpuTensor =>
      new GpuTensor(this.#gpu, this.#tensors, elements, vocabulary);
    const runner = { name: "WebGPU", graph: this.#graph, register: this.#register, allocate };
    return gpuRun(runner, accepted, (sinks, signal) => this.#enqueue(accepted, sinks, signal));
  }

  /** @returns what settles when the outputs of all chunks have been taken */
  async #enqueue(
    accepted: AcceptedStep<PoolMemory>,
    sinks: readonly GpuSink[],
    signal: AbortSignal,
  ): Promise<readonly Promise<void>[]> {
    const { step, places } = accepted;
    const submissions = new Submissions(this.#gpu, signal);
    const run: StepChunks = { ...this.#runner, step, sinks, submissions };
    const read: Promise<void>[] = [];
    try {
      for (const sink of sinks) if ("storage" in sink.tensor) await sink.tensor.storage.ready;
      const blocks = await placeBlocks(accepted, this.#scratchPool, run);
      for (const chunk of placeChunks(places, blocks, this.#modes, this.#mostSplits)) {
        const prepared = await this.#planOf(accepted, chunk);
        if (prepared.pieces.length === 0) continue;
        await submissions.pace();
        read.push(this.#underWay.add(readBack(this.#gpu, this.#home.scratch, await runChunk(run, chunk, prepared))));
      }
    } finally {
      this.#scratchPool.trim();
      for (const check of submissions.checks) this.#underWay.add(check);
    }
    const idle = read.length === 0 || sinks.length === 0;
    if (idle) read.push(this.#underWay.add(this.#gpu.wait(this.#gpu.device.queue.onSubmittedWorkDone())));
    return [...read, ...submissions.checks];
  }

  #planOf({ step, caches }: AcceptedStep<PoolMemory>, { mode, segments }: PlacedChunk): Promise<PreparedPlan> {
    const ends = segments.some((segment) => segment.ends);
    const asked = askedOf(step).filter(({ rows }) => rows === "all" || ends);
    // Rows of later chunks see these, where there is no cache, too.
    const kept = segments.some((segment) => caches[segment.sequence] !== undefined || !segment.ends);
    return this.#plans.get(mode, asked, kept && this.#spec.length > 0);
  }

  async free(): Promise<void> {
    await this.#underWay.settled();
    await this.#plans.free();
    this.#scratchPool.free();
    this.#tensors.free();
    this.#home.scratch.free();
  }
}

/** Values that a step's outputs read, and of which rows. */
function askedOf({ outputs, inputs }: Step): readonly Asked[] {
  return outputs.flatMap((output): readonly Asked[] => {
    if (inputs[output.value] !== undefined) return [];
    return [{ value: output.value, rows: output.to !== "score" && output.rows === "last" ? "selected" : "all" }];
  });
}
