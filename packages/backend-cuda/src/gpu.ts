// One card with what all programs on it share: its context, a stream on which everything runs in order, and loaded
// kernels. Memory and kernels are counted, so that tests can see that all of it is given back. A card that failed stays
// failed: the driver reports it once more at every call, and here the first report is kept.

import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { MemoryError, type OptionSchema, option, PolyllamaError } from "@polyllama/core";
import { checkVersion, type Driver, deviceAttribute, type Handle, loadDriver } from "./driver/api.ts";
import { type ImageArchive, imageFolder, imageTarget, readImages } from "./driver/images.ts";
import type { Launch } from "./launch.ts";
import { DeviceMemory, ExecutableGraph, PinnedMemory } from "./memory.ts";

export interface GpuOptions {
  readonly device: number;
  readonly library?: string;
  readonly images?: string;
}

export const gpuOptionTypes: OptionSchema<GpuOptions> = {
  device: option.integer({ least: 0, most: 1023 }),
  library: option.nonEmptyString,
  images: option.nonEmptyString,
};

/**
 * Turns of the event loop, a fraction of a millisecond together, in which the card is asked whether it is done: waking
 * from these is fastest. What takes longer is waited for by a thread that sleeps, as asking takes all of a core.
 */
const shortWait = 64;

/** Whose context is current in this thread. */
const contexts = new WeakMap<Driver, Gpu>();

export class Gpu {
  readonly driver: Driver;
  readonly device: number;
  readonly name: string;
  /** Compute capability times ten. */
  readonly capability: number;
  readonly images: ImageArchive;
  readonly stream: Handle;
  readonly #context: Handle;
  readonly #event: Handle;
  readonly #modules = new Map<string, Handle>();
  readonly #functions = new Map<string, Handle>();
  #allocated = 0;
  #lost: PolyllamaError | undefined;

  /**
   * @throws {PolyllamaError} `ERR_UNSUPPORTED`, `ERR_OPTION` for a card that there is not, `ERR_BACKEND`, `ERR_MEMORY`
   */
  constructor({ device, library, images = imageFolder }: GpuOptions) {
    const driver = loadDriver(library);
    checkVersion(driver);
    this.driver = driver;
    this.device = device;
    const count = driver.deviceCount();
    if (device >= count) {
      throw count === 0
        ? new PolyllamaError(
            "ERR_UNSUPPORTED",
            "There is an NVIDIA driver but no card that it can use. Check nvidia-smi and CUDA_VISIBLE_DEVICES.",
          )
        : new PolyllamaError(
            "ERR_OPTION",
            `device: there is no card ${device}; this machine has cards 0 to ${count - 1}.`,
          );
    }
    this.name = driver.deviceName(device);
    this.capability =
      driver.deviceAttribute(device, deviceAttribute.major) * 10 +
      driver.deviceAttribute(device, deviceAttribute.minor);
    this.images = readImages(images, imageTarget(driver.version, this.capability));
    this.#context = driver.retainContext(device);
    try {
      this.#enter();
      this.stream = driver.createStream();
      this.#event = driver.createEvent();
    } catch (error) {
      driver.releaseContext(device);
      throw error;
    }
  }

  /** Runs a call to the driver in this card's context; remembers a lost card. */
  #call<T>(action: () => T): T {
    if (this.#lost !== undefined) throw this.#lost;
    try {
      this.#enter();
      return action();
    } catch (error) {
      if (error instanceof PolyllamaError && error.code === "ERR_DEVICE_LOST") this.#lost = error;
      throw error;
    }
  }

  #enter(): void {
    // The driver keeps one context per thread.
    if (contexts.get(this.driver) === this) return;
    this.driver.useContext(this.#context);
    contexts.set(this.driver, this);
  }

  /** Bytes of the card's memory: what nobody uses, and all. */
  memoryInfo(): { readonly free: number; readonly total: number } {
    return this.#call(() => this.driver.memoryInfo());
  }

  /** Bytes of the card's memory that were given out and not given back. */
  get allocated(): number {
    return this.#allocated;
  }

  /** @param what What it is for, for the error. @throws {MemoryError} */
  allocate(bytes: number, what: string): DeviceMemory {
    const size = Math.max(16, bytes);
    const address = this.#reserve(what, size, () => this.driver.allocate(size));
    this.#allocated += size;
    return new DeviceMemory(address, size, () => {
      this.#allocated -= size;
      this.driver.free(address);
    });
  }

  /** The same of the host's memory, where the card reaches it. @throws {MemoryError} */
  allocateHost(bytes: number, what: string): PinnedMemory {
    const size = Math.max(16, bytes);
    const memory = this.#reserve(`${what}, in the host's memory`, size, () => this.driver.allocateHost(size));
    return new PinnedMemory(memory, () => this.driver.freeHost(memory));
  }

  /** The driver does not know what memory is for. */
  #reserve<T>(what: string, bytes: number, action: () => T): T {
    try {
      return this.#call(action);
    } catch (error) {
      if (!(error instanceof PolyllamaError) || error.code !== "ERR_MEMORY") throw error;
      const [call = ""] = error.message.split(": the card"); // what the driver answered
      throw new MemoryError(what, bytes, call);
    }
  }

  copyToDevice(to: Handle, from: Handle, bytes: number): void {
    this.#call(() => this.driver.copyToDevice(to, from, bytes, this.stream));
  }

  copyToHost(to: Handle, from: Handle, bytes: number): void {
    this.#call(() => this.driver.copyToHost(to, from, bytes, this.stream));
  }

  copyOnDevice(to: Handle, from: Handle, bytes: number): void {
    this.#call(() => this.driver.copyOnDevice(to, from, bytes, this.stream));
  }

  launch({ image, kernel, grid, threads, parameters }: Launch): void {
    const handle = this.#function(image, kernel);
    this.#call(() => this.driver.launch(handle, grid, threads, parameters, this.stream));
  }

  /** Records what the action enqueues as a graph, which can be launched again and again. */
  capture(action: () => void): ExecutableGraph {
    return this.#call(() => {
      this.driver.beginCapture(this.stream);
      try {
        action();
      } catch (error) {
        this.#abandonCapture();
        throw error;
      }
      const graph = this.driver.endCapture(this.stream);
      try {
        const executable = this.driver.instantiateGraph(graph);
        return new ExecutableGraph(
          () => this.#call(() => this.driver.launchGraph(executable, this.stream)),
          () => this.driver.destroyExecutableGraph(executable),
        );
      } finally {
        this.driver.destroyGraph(graph);
      }
    });
  }

  /** Ends a capture whose action failed. What failed is told, not what follows from it. */
  #abandonCapture(): void {
    try {
      this.driver.destroyGraph(this.driver.endCapture(this.stream));
    } catch (error) {
      if (!(error instanceof PolyllamaError)) throw error;
    }
  }

  /** Loads kernels ahead of their first launch: during a capture it is too late. */
  prepare(launches: readonly Pick<Launch, "image" | "kernel">[]): void {
    for (const { image, kernel } of launches) this.#function(image, kernel);
  }

  /**
   * Waits until all that was enqueued is done; the event loop stays free for others.
   *
   * @throws {PolyllamaError} `ERR_DEVICE_LOST` when a kernel failed.
   */
  async finished(): Promise<void> {
    this.record(this.#event);
    await this.reached(this.#event);
  }

  /** An event, to be destroyed by the driver. */
  createEvent(): Handle {
    return this.#call(() => this.driver.createEvent());
  }

  /** Marks what was enqueued so far. */
  record(event: Handle): void {
    this.#call(() => this.driver.recordEvent(event, this.stream));
  }

  /** Waits like {@link finished}, for what an event marks. */
  async reached(event: Handle): Promise<void> {
    for (let asked = 0; !this.#call(() => this.driver.eventDone(event)); asked++) {
      if (asked < shortWait) await nextTurn();
      else if (!(await this.driver.awaitEvent(event))) await pause(1);
    }
  }

  #function(image: string, kernel: string): Handle {
    const key = `${image}/${kernel}`;
    const known = this.#functions.get(key);
    if (known !== undefined) return known;
    return this.#call(() => {
      let module = this.#modules.get(image);
      if (module === undefined) {
        module = this.driver.loadModule(this.images.image(image));
        this.#modules.set(image, module);
      }
      const made = this.driver.functionOf(module, kernel);
      this.#functions.set(key, made);
      return made;
    });
  }

  dispose(): void {
    const { driver } = this;
    const quietly = (action: () => void): void => {
      try {
        action();
      } catch (error) {
        if (this.#lost === undefined) throw error; // a lost card refuses what it has already dropped
      }
    };
    quietly(() => this.#enter());
    for (const module of this.#modules.values()) quietly(() => driver.unloadModule(module));
    quietly(() => driver.destroyEvent(this.#event));
    quietly(() => driver.destroyStream(this.stream));
    quietly(() => driver.releaseContext(this.device));
    contexts.delete(driver);
  }
}
