// A program's part of running its steps. A step is run sequence by sequence, and a sequence in chunks of rows, so that
// memory for the scores of attention is bounded.

import { ContextOverflowError, type ValueName } from "@polyllama/core";
import { cacheSpec, type HostArray, type OutputValue, type SequencePlace } from "@polyllama/core/device";
import {
  type AcceptedStep,
  hostRun,
  inputArrays,
  isHostTensor,
  orAborted,
  outputValue,
  rotationKey,
  type StepCache,
  type StepExecutor,
  type StepRun,
  type StepTensor,
  type WantedRows,
  wantedRows,
} from "@polyllama/planner";
import { HostRows } from "./host-rows.ts";
import { OnnxRuntimeBlocks } from "./kv-blocks.ts";
import { attentions, hostValues } from "./needs.ts";
import { type RotationTable, RotationTables } from "./rotation-tables.ts";
import { runChunk } from "./run-chunk.ts";
import { type SessionParts, Sessions, type Variant } from "./sessions.ts";

/** Rows of a sequence that are computed at once, at most. */
export const chunkRows = 256;
/** Bytes that the scores of one attention may take. */
export const scoreBytes: number = 64 << 20;

export interface ExecutorParts extends SessionParts {
  /** The device. */
  readonly owner: object;
}

/** A step while it runs. */
interface RunningStep {
  readonly variant: Variant;
  readonly inputs: Readonly<Record<ValueName, HostArray>>;
  readonly wanted: ReadonlyMap<ValueName, WantedRows>;
  /** Values that the host reads for it. */
  readonly hostValues: ReadonlySet<ValueName>;
  readonly signal: AbortSignal;
}

type Cache = StepCache<OnnxRuntimeBlocks>;

export class OnnxRuntimeExecutor implements StepExecutor<OnnxRuntimeBlocks> {
  readonly #parts: ExecutorParts;
  readonly #sessions: Sessions;
  readonly #hostRows: HostRows;
  readonly #rotations = new RotationTables();
  readonly #heads: number;
  readonly #tokens: ValueName | undefined;

  /** @throws {PolyllamaError} `ERR_PARAMETERS` for parameters of other graphs. */
  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.#sessions = new Sessions(parts);
    this.#hostRows = new HostRows(parts.graph, parts.parameters);
    this.#heads = Math.max(0, ...attentions(parts.graph).map(({ heads }) => heads));
    this.#tokens = parts.graph.inputs.find(({ kind }) => kind === "tokens")?.name;
  }

  /** Loads the session for the values that steps will ask for. */
  async prepare(values: ReadonlySet<ValueName>, signal: AbortSignal): Promise<void> {
    const held = this.#sessions.hold(values, this.#heads > 0);
    try {
      await orAborted(held.loading, signal);
    } finally {
      held.release();
    }
  }

  owns(tensor: StepTensor): boolean {
    return isHostTensor(tensor, this.#parts.owner);
  }

  /** @throws {ContextOverflowError} for a sequence that is longer than those that its pool was made for. */
  accept(accepted: AcceptedStep<OnnxRuntimeBlocks>): StepRun {
    const { step, caches } = accepted;
    for (const cache of caches) {
      const { rows } = cache?.pool.storage ?? {};
      if (cache === undefined || rows === undefined || cache.start + cache.rows <= rows) continue;
      throw new ContextOverflowError(cache.start + cache.rows, rows, "Make a pool of longer sequences.");
    }
    const values = new Set(step.outputs.map(({ value }) => value));
    const fillsCaches = this.#heads > 0 && caches.some((cache) => cache !== undefined);
    const held = this.#sessions.hold(values, fillsCaches);
    const run = async (signal: AbortSignal): Promise<readonly OutputValue[]> =>
      this.#run(accepted, await orAborted(held.loading, signal), signal);
    return { ...hostRun(accepted, this.#parts.owner, run), end: held.release };
  }

  async free(): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]();
  }

  async #run(
    accepted: AcceptedStep<OnnxRuntimeBlocks>,
    variant: Variant,
    signal: AbortSignal,
  ): Promise<readonly OutputValue[]> {
    const { step, places, caches } = accepted;
    for (const cache of caches) {
      // its own copies
      for (const copy of cache?.copies ?? []) await cache!.pool.storage.copy(copy, cache!.start, signal);
    }
    const inputs = inputArrays(step);
    const outputs = step.outputs.map((output, i) => ({ output, rows: places.outputRows[i]! })); // one entry per output
    const wanted = wantedRows(this.#parts.graph, outputs);
    const host = hostValues(this.#parts.graph);
    const read = new Set([...wanted.keys()].filter((value) => host.has(value)));
    for (const { binding } of variant.lowering.inputs) if (binding.kind === "activations") read.add(binding.value);
    const running = { variant, inputs, wanted, hostValues: read, signal };
    for (const [i, place] of places.sequences.entries()) await this.#runSequence(running, place, caches[i]);
    const history = (sequence: number, end: number): readonly number[] =>
      this.#history(inputs, places.sequences[sequence]!, caches[sequence], end); // of a sequence of the step
    const context = { ...accepted, owner: this.#parts.owner, history };
    return step.outputs.map(
      // one entry per output
      (output, i) => outputValue(output, places.outputRows[i]!, wanted.get(output.value)!, context),
    );
  }

  async #runSequence(step: RunningStep, place: SequencePlace, own: Cache | undefined): Promise<void> {
    const { variant, inputs, wanted, signal } = step;
    const { ort, graph } = this.#parts;
    if (own !== undefined && this.#tokens !== undefined) {
      const tokens = inputs[this.#tokens] as Int32Array; // the frame saw that it is there
      own.pool.storage.tokens(own.table[0]!).set(tokens.subarray(place.first, place.first + place.rows), own.start);
    }
    const temporary =
      own === undefined && variant.lowering.attentions.length > 0
        ? new OnnxRuntimeBlocks(ort, cacheSpec(graph), place.rows, 1)
        : undefined;
    const blocks = own?.pool.storage ?? temporary;
    const cache = blocks && { blocks, block: own?.table[0] ?? 0 };
    try {
      // Where there is no cache of the caller's, positions count from the first row and the tables start there.
      const origin = own === undefined ? place.start : 0;
      const length = place.start - origin;
      const tables = await this.#rotationTables(variant, origin, length + place.rows);
      const most = this.#chunk(blocks);
      for (let done = 0; done < place.rows; done += most) {
        const rows = Math.min(most, place.rows - done);
        const chunk = { first: place.first + done, rows, length: length + done };
        const host = await this.#hostRows.read(step.hostValues, inputs, chunk.first, rows, signal);
        await runChunk(variant, chunk, { ort, host, tables, cache }, wanted, signal);
      }
    } finally {
      temporary?.free();
    }
  }

  /** Rows computed at once: fewer where a long cache makes the scores large. */
  #chunk(blocks: OnnxRuntimeBlocks | undefined): number {
    if (blocks === undefined) return chunkRows;
    return Math.max(16, Math.min(chunkRows, Math.floor(scoreBytes / (this.#heads * blocks.rows * 4))));
  }

  async #rotationTables(variant: Variant, origin: number, rows: number): Promise<ReadonlyMap<string, RotationTable>> {
    const tables = new Map<string, RotationTable>();
    // Cosines and sines of one rotation come from one table: another step may let it grow meanwhile.
    const byRotation = new Map<string, RotationTable>();
    for (const { name, binding } of variant.lowering.inputs) {
      if (binding.kind !== "cos" && binding.kind !== "sin") continue;
      const key = rotationKey(binding.rotation);
      const table = byRotation.get(key) ?? (await this.#rotations.rows(binding.rotation, origin, rows));
      byRotation.set(key, table);
      tables.set(name, table);
    }
    return tables;
  }

  #history(
    inputs: RunningStep["inputs"],
    { first, start }: SequencePlace,
    cache: Cache | undefined,
    end: number,
  ): readonly number[] {
    if (this.#tokens === undefined) return [];
    if (cache !== undefined) return [...cache.pool.storage.tokens(cache.table[0]!).subarray(0, end)];
    return [...inputs[this.#tokens]!.subarray(first, first + end - start)]; // the frame saw that it is there
  }
}
