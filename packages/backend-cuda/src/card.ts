// What a device has of its card from the first use on.

import { exp2Table, PolyllamaError } from "@polyllama/core";
import { Gpu } from "./gpu.ts";
import type { DeviceMemory } from "./memory.ts";
import type { CudaOptions } from "./options.ts";
import { TensorMemories } from "./tensors.ts";
import { TensorPool } from "./training/tensors.ts";

export class Card implements Disposable {
  readonly #options: CudaOptions;
  #opened: { readonly gpu: Gpu; readonly memories: TensorMemories; readonly training: TensorPool } | undefined;
  #powers: DeviceMemory | undefined;
  #disposed = false;

  constructor(options: CudaOptions) {
    this.#options = options;
  }

  /** @throws {PolyllamaError} `ERR_UNSUPPORTED` where there is no driver or no card, `ERR_OPTION`, `ERR_DISPOSED` */
  get gpu(): Gpu {
    return this.#open().gpu;
  }

  get memories(): TensorMemories {
    return this.#open().memories;
  }

  /** Memory of tensors of training. */
  get training(): TensorPool {
    return this.#open().training;
  }

  /** Core's table of powers, for draws. */
  async powerTable(): Promise<DeviceMemory> {
    if (this.#powers !== undefined) return this.#powers;
    const { gpu } = this;
    using staging = gpu.allocateHost(exp2Table.byteLength, "the sampler");
    const table = gpu.allocate(exp2Table.byteLength, "the sampler");
    this.#powers = table; // for all that is enqueued behind the copy
    new Uint32Array(staging.buffer).set(exp2Table);
    gpu.copyToDevice(table.address, staging.address, exp2Table.byteLength);
    await gpu.finished();
    return table;
  }

  #open() {
    if (this.#disposed) throw new PolyllamaError("ERR_DISPOSED", "The device was disposed; create another one.");
    if (this.#opened === undefined) {
      const gpu = new Gpu({ device: 0, ...this.#options });
      this.#opened = { gpu, memories: new TensorMemories(gpu), training: new TensorPool(gpu) };
    }
    return this.#opened;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#powers?.[Symbol.dispose]();
    this.#opened?.memories[Symbol.dispose]();
    this.#opened?.gpu.dispose();
  }
}
