// A loaded model: it owns ONNX Runtime's session and the names by which values are bound. A run keeps every piece of
// memory it touches referenced until it has ended, and has run options of its own, as a termination flag, once set,
// would end later runs too.

import { PolyllamaError } from "@polyllama/core";
import { UnderWay } from "@polyllama/planner";
import { cString, type Handle, type Ort } from "./api.ts";

export interface SessionOptions {
  readonly threads: number;
  /** Folder that the model's external weights are relative to. */
  readonly weightsFolder: string;
}

export class Session implements AsyncDisposable {
  readonly #ort: Ort;
  readonly #handle: Handle;
  readonly #inputNames: Names;
  readonly #outputNames: ReadonlyMap<string, { readonly memory: Uint8Array; readonly pointer: bigint }>;
  readonly #pending = new UnderWay();
  #disposed = false;

  private constructor(ort: Ort, handle: Handle, inputs: readonly string[], outputs: readonly string[]) {
    this.#ort = ort;
    this.#handle = handle;
    this.#inputNames = names(ort, inputs);
    this.#outputNames = new Map(
      outputs.map((name) => {
        const memory = cString(name);
        return [name, { memory, pointer: ort.koffi.address(memory) }];
      }),
    );
  }

  /** Loads a model and its weights; the event loop stays free. `inputs` fixes the order in which values are passed. */
  static async load(
    ort: Ort,
    model: Uint8Array,
    inputs: readonly string[],
    outputs: readonly string[],
    { threads, weightsFolder }: SessionOptions,
  ): Promise<Session> {
    const options = ort.createSessionOptions();
    try {
      ort.setLogSeverity(options, 3);
      ort.setOptimizationLevel(options, 99);
      ort.setIntraOpThreads(options, threads);
      // Sizes change with every prompt, so a planned arena would be planned again and again.
      ort.disableMemoryPattern(options);
      ort.setConfig(options, "session.model_external_initializers_file_folder_path", weightsFolder);
      // Threads spin briefly between the operators of a run, as waking them takes as long as a small operator, and not
      // at all between runs. Spinning longer, as is the default, is no faster and much slower once the cores are
      // shared.
      ort.setConfig(options, "session.intra_op.spin_duration_us", "50");
      ort.setConfig(options, "session.force_spinning_stop", "1");
      return new Session(ort, await ort.createSession(model, options), inputs, outputs);
    } finally {
      ort.releaseSessionOptions(options);
    }
  }

  /**
   * Runs the model. `inputs` follow the order given at load; `keep` is all memory behind the values.
   *
   * @throws the signal's reason when aborted; {@link PolyllamaError} `ERR_BACKEND`
   */
  async run(
    inputs: readonly Handle[],
    outputs: ReadonlyMap<string, Handle>,
    keep: readonly unknown[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#disposed) throw new PolyllamaError("ERR_DISPOSED", "The session was disposed.");
    signal?.throwIfAborted();
    const runOptions = this.#ort.createRunOptions();
    const terminate = (): void => this.#ort.terminate(runOptions);
    signal?.addEventListener("abort", terminate, { once: true });
    const call = {
      session: this.#handle,
      runOptions,
      inputNames: this.#inputNames.pointers,
      inputs: BigUint64Array.from(inputs),
      outputNames: BigUint64Array.from(outputs.keys(), (name) => this.#outputNames.get(name)!.pointer),
      outputs: BigUint64Array.from(outputs.values()),
    };
    const running = this.#pending.add(this.#ort.run(call));
    const held = { call, keep, names: [this.#inputNames, this.#outputNames] };
    inFlight.add(held);
    try {
      await running;
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      inFlight.delete(held);
      signal?.removeEventListener("abort", terminate);
      this.#ort.releaseRunOptions(runOptions);
    }
    signal?.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#pending.settled();
    this.#ort.releaseSession(this.#handle);
  }
}

/** Memory of runs under way: referenced from here, it cannot be collected under them. */
const inFlight = new Set<object>();

interface Names {
  readonly memory: readonly Uint8Array[];
  readonly pointers: BigUint64Array;
}

function names(ort: Ort, list: readonly string[]): Names {
  const memory = list.map(cString);
  return { memory, pointers: BigUint64Array.from(memory, (bytes) => ort.koffi.address(bytes)) };
}
