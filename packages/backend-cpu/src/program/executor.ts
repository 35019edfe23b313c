// Runs steps of one program: cuts each into chunks, which are one call of the library each, and collects the rows that
// outputs want.

import type { Graph, ValueName } from "@polyllama/core";
import {
  type CacheSpec,
  cacheSpec,
  type Output,
  type OutputSpec,
  type OutputValue,
  type StepPlaces,
} from "@polyllama/core/device";
import {
  type AcceptedStep,
  cutChunks,
  hostRun,
  inputArrays,
  isHostTensor,
  outputValue,
  type PlanRequest,
  type StepExecutor,
  type StepRun,
  type StepTensor,
  wantedRows,
} from "@polyllama/planner";
import { blockBytes, blocksFor } from "../cache/layout.ts";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Machine } from "../machine.ts";
import { type Activations, chunkModes } from "../modes.ts";
import type { EncodedStep } from "../native/encode.ts";
import { cacheFormatNumbers } from "../native/formats.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { type HostInputs, rowsOf, type SequenceBlocks } from "./chunk-job.ts";
import { drawsNatively, type TokenDraw, tokenDraws } from "./draws.ts";
import { GrowingMemory } from "./growing.ts";
import { Plans } from "./plans.ts";
import { ChunkRunner } from "./run-chunk.ts";

/** Tokens of an output that the library draws. */
interface DrawnTokens {
  readonly tokens: Int32Array;
  readonly draws: readonly TokenDraw[];
}

/** Format of keys and values of sequences without a cache. */
const uncachedFormat = "f32";

export class CpuExecutor implements StepExecutor<PoolMemory> {
  readonly #graph: Graph;
  /** The device. */
  readonly #owner: object;
  readonly #plans: Plans;
  readonly #runner: ChunkRunner;
  readonly #spec: CacheSpec;
  readonly #tokens: ValueName | undefined;
  /** KV blocks of sequences without a cache. */
  readonly #blocks: GrowingMemory;

  constructor(graph: Graph, weights: LoadedWeights, machine: Machine, activations: Activations, owner: object) {
    this.#graph = graph;
    this.#owner = owner;
    this.#plans = new Plans(graph, weights, activations);
    this.#runner = new ChunkRunner(machine, weights);
    this.#spec = cacheSpec(graph);
    this.#tokens = graph.inputs.find(({ kind }) => kind === "tokens")?.name;
    this.#blocks = new GrowingMemory(machine, "keys and values");
  }

  /** Plans what steps will ask for. @throws {PolyllamaError} `ERR_UNSUPPORTED` */
  prepare(outputs: readonly OutputSpec[]): void {
    this.#plans.get(this.#request(outputs, this.#spec.length > 0));
  }

  owns(tensor: StepTensor): boolean {
    return isHostTensor(tensor, this.#owner);
  }

  accept(accepted: AcceptedStep<PoolMemory>): StepRun {
    return hostRun(accepted, this.#owner, (signal) => this.#run(accepted, signal));
  }

  async #run(accepted: AcceptedStep<PoolMemory>, signal: AbortSignal): Promise<readonly OutputValue[]> {
    const { step, places, caches } = accepted;
    const inputs = inputArrays(step);
    const drawn = step.outputs.map((output, i) => this.#drawn(output, places.outputRows[i]!, places)); // one for each
    const wanted = wantedRows(
      this.#graph,
      step.outputs.flatMap((output, i) => (drawn[i] === undefined ? [{ output, rows: places.outputRows[i]! }] : [])),
    );
    const draws = drawn.flatMap((own) => own?.draws ?? []);
    const asked = step.outputs.filter(({ value }) => step.inputs[value] === undefined);
    const fillsCaches = caches.some((cache) => cache !== undefined) && this.#spec.length > 0;
    const prepared = this.#plans.get(this.#request(asked, fillsCaches));
    const blocks = this.#sequences(accepted);
    let first = this.#copies(accepted);
    this.#writeTokens(accepted, inputs);
    for (const chunk of cutChunks(places.sequences, chunkModes)) {
      signal.throwIfAborted();
      if (prepared.plan.steps.length === 0 && prepared.plan.inputs.size === 0) continue;
      const own = chunk.segments.map(({ sequence }) => blocks[sequence]);
      const rows = rowsOf(chunk, places, blocks);
      await this.#runner.run({ accepted, inputs, prepared, chunk, rows, blocks: own, wanted, draws }, first, signal);
      first = [];
    }
    for (const [value, target] of wanted) {
      const input = step.inputs[value] === undefined ? undefined : inputs[value];
      if (input === undefined) continue;
      const { rows, data } = target.within(0, places.rows);
      for (const [i, n] of rows.entries()) {
        data.set(input.subarray(n * target.width, (n + 1) * target.width), i * target.width);
      }
    }
    const history = (sequence: number, end: number): readonly number[] =>
      this.#history(accepted, inputs, sequence, end);
    const context = { ...accepted, owner: this.#owner, history };
    return step.outputs.map((output, i) => {
      const own = drawn[i];
      if (own !== undefined) return { to: "token", tokens: own.tokens };
      return outputValue(output, places.outputRows[i]!, wanted.get(output.value)!, context); // one entry per output
    });
  }

  /** The tokens that the library draws for an output; undefined where the host does, or there are none. */
  #drawn(output: Output, rows: readonly number[], places: StepPlaces): DrawnTokens | undefined {
    const isInput = this.#graph.inputs.some(({ name }) => name === output.value);
    if (isInput || !drawsNatively(output, this.#graph.widths.get(output.value)!)) return undefined; // a value of it
    const tokens = new Int32Array(rows.length);
    return { tokens, draws: tokenDraws(output, rows, places, tokens) };
  }

  /** Where sequences have their keys and values. */
  #sequences({ caches, places }: AcceptedStep<PoolMemory>): readonly (SequenceBlocks | undefined)[] {
    if (this.#spec.length === 0) return caches.map(() => undefined);
    const bytes = blockBytes(this.#spec, uncachedFormat);
    const counts = places.sequences.map(({ rows }, i) => (caches[i] === undefined ? blocksFor(rows) : 0));
    const pool = this.#blocks.ensure(bytes * counts.reduce((sum, count) => sum + count, 0)).ref;
    let first = 0;
    return caches.map((cache, i) => {
      if (cache === undefined) {
        const table = Uint32Array.from({ length: counts[i]! }, () => first++); // one count for each sequence
        return { pool, table, blockBytes: bytes, format: cacheFormatNumbers[uncachedFormat], start: 0 };
      }
      const { ref, blockBytes: size, format } = cache.pool.storage;
      return {
        pool: ref,
        table: cache.table,
        blockBytes: size,
        format: cacheFormatNumbers[format],
        start: cache.start,
      };
    });
  }

  /** Copies of blocks that sequences share and write into, before anything is written. */
  #copies({ caches }: AcceptedStep<PoolMemory>): readonly EncodedStep[] {
    return caches.flatMap((cache) => {
      if (cache === undefined || this.#spec.length === 0) return [];
      const { storage } = cache.pool;
      return cache.copies.map((copy): EncodedStep => {
        storage.copyTokens(copy);
        const at = (block: number): bigint => storage.ref + BigInt(block * storage.blockBytes);
        return ["copy", { rows: 1, from: at(copy.from), to: at(copy.to), bytes: BigInt(storage.blockBytes) }];
      });
    });
  }

  #writeTokens({ places, caches }: AcceptedStep<PoolMemory>, inputs: HostInputs): void {
    const tokens = this.#tokens === undefined ? undefined : inputs[this.#tokens];
    if (!(tokens instanceof Int32Array)) return;
    for (const [i, { first, rows }] of places.sequences.entries()) {
      const cache = caches[i];
      cache?.pool.storage.writeTokens(cache.table, cache.start, tokens.subarray(first, first + rows));
    }
  }

  #history(
    { places, caches }: AcceptedStep<PoolMemory>,
    inputs: HostInputs,
    sequence: number,
    end: number,
  ): readonly number[] {
    if (this.#tokens === undefined) return [];
    const { first, start } = places.sequences[sequence]!; // of a sequence of the step
    const cache = caches[sequence];
    if (cache !== undefined) return cache.pool.storage.tokens(cache.table, end);
    return [...inputs[this.#tokens]!.subarray(first, first + end - start)]; // the frame saw that it is there
  }

  #request(outputs: readonly (Output | OutputSpec)[], fillsCaches: boolean): PlanRequest {
    const all = outputs.filter((output) =>
      output.to === "host" || output.to === "device" ? output.rows !== "last" : false,
    );
    const names = (list: readonly (Output | OutputSpec)[]) => new Set(list.map(({ value }) => value));
    return { all: names(all), selected: names(outputs.filter((output) => !all.includes(output))), fillsCaches };
  }

  free(): void {
    this.#runner[Symbol.dispose]();
    this.#blocks[Symbol.dispose]();
  }
}
