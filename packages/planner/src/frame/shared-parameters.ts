// Parameters that programs share: their memory is freed when they are disposed and the last program has ended.

import { PolyllamaError, UnsupportedError, type WeightInfo, type WeightName, type WeightSource } from "@polyllama/core";
import type { AdapterOptions, Parameters } from "@polyllama/core/device";
import type { Adapter } from "../adapters/adapter.ts";
import type { AdapterKeeper } from "../adapters/adapter-keeper.ts";

/** What a backend has of weights. */
export interface ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly bytes: number;
  /** Present where it computes with adapters itself. @param adapter Undefined removes it. */
  setAdapter?(name: string, adapter: Adapter | undefined): void;
  /** Present where the backend can give weights back. */
  export?(): WeightSource;
  /** Called once. */
  free(): void | Promise<void>;
}

/** Called once, when memory is given back; the promise, where there is one, says when that has happened. */
type FreedParameters = (freed: void | Promise<void>) => void;

/** Weights on a device. */
export class SharedParameters<Storage extends ParameterStorage = ParameterStorage> implements Parameters {
  readonly storage: Storage;
  readonly owner: object;
  readonly mutable: boolean;
  /** Counted by steps that update weights. */
  version = 0;
  /** Those that steps may name. */
  readonly #adapters = new Set<string>();
  /** Names that are taken by adapters which are being added. */
  readonly #adding = new Set<string>();
  readonly #keeper: AdapterKeeper | undefined;
  readonly #onFree: FreedParameters;
  #damage: PolyllamaError | undefined;
  #users = 0;
  #state: "alive" | "disposed" | "freed" = "alive";

  /** @param options `adapters` is absent where the device has none. */
  constructor(
    storage: Storage,
    owner: object,
    options: {
      readonly mutable?: boolean;
      readonly adapters?: AdapterKeeper | undefined;
      readonly onFree: FreedParameters;
    },
  ) {
    this.storage = storage;
    this.owner = owner;
    this.mutable = options.mutable ?? false;
    this.#keeper = options.adapters;
    this.#onFree = options.onFree;
  }

  /** Shape and format of each weight, as the device holds it. */
  get weights(): ReadonlyMap<WeightName, WeightInfo> {
    return this.storage.weights;
  }

  get bytes(): number {
    return this.storage.bytes + (this.#keeper?.bytes ?? 0);
  }

  /** Whether an adapter of that name was added and is not disposed. */
  hasAdapter(name: string): boolean {
    return this.#adapters.has(name);
  }

  async addAdapter(name: string, source: WeightSource, options: AdapterOptions = {}): Promise<Disposable> {
    this.assertAlive();
    const keeper = this.#keeper;
    if (keeper === undefined) {
      throw new UnsupportedError("This device has no adapters", "Merge the adapter into the weights.", {
        op: "linear",
      });
    }
    if (this.#adapters.has(name) || this.#adding.has(name)) {
      throw new PolyllamaError("ERR_OPTION", `There is an adapter "${name}" already; dispose it first.`);
    }
    this.#adding.add(name);
    const ended = this.#use();
    try {
      await keeper.add(name, source, options, ended);
      this.#adapters.add(name);
    } finally {
      this.#adding.delete(name);
      await ended();
    }
    let isThere = true;
    return {
      [Symbol.dispose]: () => {
        if (!isThere) return;
        isThere = false;
        this.#adapters.delete(name);
        if (this.#state === "freed") return;
        // Its memory is given back by and by; what cannot be done stays until the weights are freed.
        const ended = this.#use();
        void keeper
          .remove(name, ended)
          .catch(() => undefined)
          .then(ended);
      },
    };
  }

  export(): WeightSource {
    this.assertAlive();
    if (this.storage.export === undefined) {
      throw new UnsupportedError("This device does not give weights back", "Keep the checkpoint that they came from.");
    }
    return this.storage.export();
  }

  /**
   * Says that an update was cut short: some weights are new and some are not, so that nothing can be computed with them.
   *
   * @returns what uses of them throw from now on.
   */
  damage(cause: unknown): PolyllamaError {
    const problem = "An update of the parameters was cut short, and left some of them new and some old.";
    this.#damage ??= new PolyllamaError("ERR_PARAMETERS", `${problem} Load them again, from a checkpoint.`, { cause });
    return this.#damage;
  }

  /** @throws {PolyllamaError} `ERR_PARAMETERS` after an update that was cut short */
  assertWhole(): void {
    if (this.#damage !== undefined) throw this.#damage;
  }

  /** A program begins to use them. @throws {PolyllamaError} `ERR_DISPOSED`, `ERR_PARAMETERS` */
  retain(): void {
    this.assertAlive();
    this.#users++;
  }

  /** A program has ended. Resolves when what it was the last to use is free. */
  async release(): Promise<void> {
    this.#users--;
    await this.#freeUnused();
  }

  /**
   * No program can be compiled with them any more. Their memory is freed when the last program that uses them has
   * ended.
   */
  [Symbol.dispose](): void {
    if (this.#state !== "alive") return;
    this.#state = "disposed";
    void this.#freeUnused();
  }

  /**
   * @throws {PolyllamaError} `ERR_DISPOSED` when they were disposed, also while programs still use them;
   * `ERR_PARAMETERS` after an update that was cut short
   */
  assertAlive(): void {
    if (this.#state !== "alive") {
      throw new PolyllamaError("ERR_DISPOSED", "The parameters were disposed; load them again.");
    }
    this.assertWhole();
  }

  /** They stay until what it returns is called, once or more often. */
  #use(): () => Promise<void> {
    this.#users++;
    let ended: Promise<void> | undefined;
    return () => {
      ended ??= this.release();
      return ended;
    };
  }

  #freeUnused(): void | Promise<void> {
    if (this.#state !== "disposed" || this.#users > 0) return;
    this.#state = "freed";
    const kept = this.#keeper?.free();
    const freed = kept === undefined ? this.storage.free() : kept.then(() => this.storage.free());
    this.#onFree(freed);
    return freed;
  }
}
