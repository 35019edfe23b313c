// A tensor on the device: what a step computed, or is going to compute, and what later steps take as their input.

import { PolyllamaError } from "@polyllama/core";
import type { DeviceTensor, HostArray } from "@polyllama/core/device";
import type { StepRecord } from "./step-record.ts";

/** The memory of a tensor, as a backend has it. */
export interface TensorStorage {
  /**
   * Its elements [rows, width], or tokens [rows], copied to the host. Called when the step that computes them has
   * succeeded.
   */
  read(signal: AbortSignal | undefined): Promise<HostArray>;
  /** Gives the memory back. Called once, when nobody uses the tensor. */
  free(): void;
}

/** A tensor that knows which step computes it. Its memory stays until nobody uses it. */
export class StepTensor<Storage extends TensorStorage = TensorStorage> implements DeviceTensor {
  readonly shape: readonly [number, number];
  readonly kind: "tokens" | "activations";
  readonly storage: Storage;
  /** Undefined for what the host wrote. */
  readonly record: StepRecord | undefined;
  #users = 0;
  #state: "alive" | "disposed" | "freed" = "alive";

  constructor(
    shape: readonly [number, number],
    kind: "tokens" | "activations",
    storage: Storage,
    record: StepRecord | undefined,
  ) {
    this.shape = shape;
    this.kind = kind;
    this.storage = storage;
    this.record = record;
  }

  async read(signal?: AbortSignal): Promise<HostArray> {
    signal?.throwIfAborted();
    using _use = this.use();
    await this.record?.success();
    return await this.storage.read(signal);
  }

  /** A step begins or ends to use it. @throws {PolyllamaError} `ERR_DISPOSED` */
  use(): Disposable {
    if (this.#state !== "alive") {
      throw new PolyllamaError(
        "ERR_DISPOSED",
        "The tensor was disposed; keep it until the steps that use it are submitted.",
      );
    }
    this.#users++;
    return {
      [Symbol.dispose]: () => {
        this.#users--;
        this.#freeUnused();
      },
    };
  }

  /** No later step can use it. Its memory is freed when the last step or read under way that uses it has ended. */
  [Symbol.dispose](): void {
    if (this.#state !== "alive") return;
    this.#state = "disposed";
    this.#freeUnused();
  }

  #freeUnused(): void {
    if (this.#state !== "disposed" || this.#users > 0) return;
    this.#state = "freed";
    this.storage.free();
  }
}
