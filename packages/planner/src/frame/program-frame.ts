// What every program does with a step beside computing it: checks, blocks, waiting for its turn, aborts, what depends
// on it, and its end.

import { type Graph, PolyllamaError } from "@polyllama/core";
import {
  type CacheSpec,
  cacheSpec,
  type DeviceTensor,
  isDeviceTensor,
  type OutputValue,
  type Program,
  resolveStep,
  type SequenceCache,
  type Step,
  type StepPlaces,
  type Submission,
  sameCacheSpec,
} from "@polyllama/core/device";
import { type CacheRows, PagedCache } from "./paged-cache.ts";
import type { PagedPool, PoolStorage } from "./paged-pool.ts";
import type { ParameterStorage, SharedParameters } from "./shared-parameters.ts";
import type { StepQueue } from "./step-queue.ts";
import { StepRecord } from "./step-record.ts";
import { StepTensor } from "./step-tensor.ts";
import { UnderWay } from "./under-way.ts";

/** A sequence's blocks in a step, and the memory that they lie in. */
export interface StepCache<Storage extends PoolStorage> extends CacheRows {
  readonly pool: PagedPool<Storage>;
}

/** A step that was checked and has its blocks. */
export interface AcceptedStep<Storage extends PoolStorage> {
  readonly step: Step;
  readonly places: StepPlaces;
  /** By sequence. */
  readonly caches: readonly (StepCache<Storage> | undefined)[];
  /** To be told to tensors that this step computes. */
  readonly record: StepRecord;
}

/** A step as its backend is going to run it. */
export interface StepRun {
  /** The chosen tokens of the first token output. */
  readonly tokens?: DeviceTensor;
  /**
   * Begins to compute. Resolves when the next step may begin.
   *
   * @param signal Aborted by the caller and when the program is disposed.
   */
  begin(signal: AbortSignal): Promise<{ readonly outputs: Promise<readonly OutputValue[]> }>;
  /** Frees what it holds, once it has settled. */
  end?(): void;
}

/** What a backend adds to the frame. */
export interface StepExecutor<Storage extends PoolStorage> {
  /** Checks what the frame cannot, and reserves what the step needs. @throws {UnsupportedError}; `MemoryError` */
  accept(step: AcceptedStep<Storage>): StepRun;
  /** Whether a tensor is of this device. */
  owns(tensor: StepTensor): boolean;
  /** Frees what belongs to the program alone. No step is under way. */
  free(): void | Promise<void>;
}

/** What a program is made of. */
export interface ProgramParts<Storage extends PoolStorage> {
  readonly graph: Graph;
  readonly parameters: SharedParameters<ParameterStorage>;
  /** The device: its pools alone are served. */
  readonly owner: object;
  readonly queue: StepQueue;
  readonly executor: StepExecutor<Storage>;
  /** Called once, when the program has ended. */
  readonly onDispose: (program: Program) => void;
}

/** A step under way. */
interface Followed {
  readonly record: StepRecord;
  readonly run: StepRun;
  /** What it keeps others from freeing. */
  readonly uses: readonly Disposable[];
  /** Whether it updates parameters. */
  readonly writes: boolean;
}

/** A program of a device. */
export class ProgramFrame<Storage extends PoolStorage> implements Program {
  readonly graph: Graph;
  readonly parameters: SharedParameters<ParameterStorage>;
  readonly #parts: ProgramParts<Storage>;
  readonly #spec: CacheSpec;
  /** Aborted when the program is disposed. */
  readonly #end = new AbortController();
  /**
   * Signals of callers, together with that: one for all steps of a signal, as making signals for every token is slow.
   */
  readonly #either = new WeakMap<AbortSignal, AbortSignal>();
  readonly #pending = new UnderWay();
  #disposed: Promise<void> | undefined;

  /** @throws {PolyllamaError} `ERR_DISPOSED` for parameters that were disposed */
  constructor(parts: ProgramParts<Storage>) {
    this.graph = parts.graph;
    this.parameters = parts.parameters;
    this.#parts = parts;
    this.#spec = cacheSpec(parts.graph);
    parts.parameters.retain();
  }

  submit(step: Step, signal?: AbortSignal): Submission {
    if (this.#disposed !== undefined) throw disposed();
    signal?.throwIfAborted();
    this.parameters.assertWhole();
    const places = resolveStep(this.graph, step);
    const own = places.sequences.map(({ cache, rows, adapter }) => {
      this.#checkAdapter(adapter);
      return cache === undefined ? undefined : { cache: this.#own(cache), rows };
    });
    for (const name of Object.keys(step.updates ?? {})) this.#checkUpdate(name);
    const record = new StepRecord();
    const uses: Disposable[] = [];
    let run: StepRun;
    try {
      const caches = own.map((each): StepCache<Storage> | undefined => {
        const pool = each?.cache.pool as PagedPool<Storage> | undefined; // as #own saw
        return each && pool && { ...each.cache.advance(each.rows, record), pool };
      });
      for (const input of Object.values(step.inputs)) {
        if (!isDeviceTensor(input)) continue;
        const tensor = this.#ownTensor(input);
        if (tensor.record !== undefined) record.dependsOn(tensor.record);
        uses.push(tensor.use());
      }
      for (const each of caches) if (each !== undefined) uses.push(each.pool.use());
      run = this.#parts.executor.accept({ step, places, caches, record });
    } catch (error) {
      record.fail();
      for (const use of uses) use[Symbol.dispose]();
      throw error;
    }
    const writes = Object.keys(step.updates ?? {}).length > 0;
    const result = this.#follow({ record, run, uses, writes }, signal);
    result.catch(() => undefined); // whoever asks for it gets the rejection
    this.#parts.queue.underWay.add(result);
    this.#pending.add(result);
    return { result, ...(run.tokens && { tokens: run.tokens }) };
  }

  async #follow(
    { record, run, uses, writes }: Followed,
    signal: AbortSignal | undefined,
  ): Promise<readonly OutputValue[]> {
    const aborted = this.#signal(signal);
    try {
      const { outputs } = await this.#parts.queue.begin(aborted, async () => {
        record.assertPossible();
        this.parameters.assertWhole();
        return run.begin(aborted);
      });
      const values = await outputs;
      await record.dependencies();
      if (!writes) aborted.throwIfAborted(); // what was written stays, whoever aborts meanwhile
      record.keep();
      return values;
    } catch (error) {
      record.fail();
      if (writes) this.parameters.assertWhole();
      aborted.throwIfAborted(); // whatever else failed, failed because of that
      throw error;
    } finally {
      run.end?.();
      for (const use of uses) use[Symbol.dispose]();
    }
  }

  #signal(callers: AbortSignal | undefined): AbortSignal {
    if (callers === undefined) return this.#end.signal;
    const known = this.#either.get(callers);
    const either = known ?? AbortSignal.any([callers, this.#end.signal]);
    if (known === undefined) this.#either.set(callers, either);
    return either;
  }

  /** @throws {PolyllamaError} `ERR_GRAPH` for a cache of another device or shape, `ERR_DISPOSED` */
  #own(cache: SequenceCache): PagedCache {
    if (!(cache instanceof PagedCache) || (cache.pool as PagedPool).owner !== this.#parts.owner) {
      throw new PolyllamaError("ERR_GRAPH", "This cache is another device's; open one in a pool of this device.");
    }
    if (!sameCacheSpec(cache.pool.spec, this.#spec)) {
      throw new PolyllamaError(
        "ERR_GRAPH",
        "This cache's pool is for attentions of other shapes; make a pool with this graph's `cacheSpec`.",
      );
    }
    cache.assertAlive();
    return cache;
  }

  /** @throws {PolyllamaError} `ERR_GRAPH` for a tensor of another device */
  #ownTensor(tensor: DeviceTensor): StepTensor {
    if (tensor instanceof StepTensor && this.#parts.executor.owns(tensor)) return tensor;
    throw new PolyllamaError("ERR_GRAPH", "This tensor is another device's; read it, and give the array.");
  }

  #checkAdapter(name: string | undefined): void {
    if (name === undefined || this.parameters.hasAdapter(name)) return;
    throw new PolyllamaError("ERR_GRAPH", `The parameters have no adapter "${name}"; add it first.`);
  }

  #checkUpdate(name: string): void {
    if (!this.parameters.weights.has(name)) {
      throw new PolyllamaError("ERR_GRAPH", `The parameters have no weight "${name}" to update.`);
    }
    if (this.parameters.mutable) return;
    throw new PolyllamaError(
      "ERR_PARAMETERS",
      "These parameters were not loaded as mutable; load them with `mutable: true`.",
    );
  }

  /**
   * Aborts the steps under way, waits for them and frees what is the program's alone. A second call waits for the
   * first.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await undefined; // from here on `submit` refuses
    this.#end.abort(disposed());
    await this.#pending.settled();
    await this.#parts.executor.free();
    await this.parameters.release();
    this.#parts.onDispose(this);
  }
}

function disposed(): PolyllamaError {
  return new PolyllamaError(
    "ERR_DISPOSED",
    "The program of this model was disposed; load the model, or compile its graph, again.",
  );
}
