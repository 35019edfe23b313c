// What a device gave out and has to take back: parameters, pools, tensors and programs, from the beginning of their
// loading on.

import { PolyllamaError } from "@polyllama/core";
import { UnderWay } from "./under-way.ts";

/** Resources that are alive, by kind: programs are disposed before what they use. */
export class Resources {
  readonly #programs = new Set<AsyncDisposable>();
  readonly #others = new Set<Disposable>();
  readonly #loads = new UnderWay();
  readonly #freeing = new UnderWay();
  readonly #end = new AbortController();
  #disposed: Promise<void> | undefined;

  /** @throws {PolyllamaError} `ERR_DISPOSED` */
  assertAlive(): void {
    this.#end.signal.throwIfAborted();
  }

  /**
   * Awaits work that makes a resource.
   *
   * @param signal The caller's.
   * @param action Its signal is aborted by the caller's and by {@link dispose}. It adds what it made itself.
   * @throws what the action throws; `ERR_DISPOSED` where the device is disposed before it ends.
   */
  async load<Made>(signal: AbortSignal | undefined, action: (signal: AbortSignal) => Promise<Made>): Promise<Made> {
    this.assertAlive();
    signal?.throwIfAborted();
    const either = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    try {
      return await this.#loads.add(action(either));
    } finally {
      this.assertAlive(); // whatever became of it: what it made is disposed, what failed failed because of that
    }
  }

  /** A program that {@link dispose} ends, before what it uses. */
  addProgram(program: AsyncDisposable): void {
    this.#programs.add(program);
  }

  /** Parameters, a pool or a tensor, which {@link dispose} frees when all programs have ended. */
  add(resource: Disposable): void {
    this.#others.add(resource);
  }

  /**
   * To be called with what has been disposed.
   *
   * @param freed Where its memory is given back by and by: when that has happened.
   */
  delete(resource: Disposable | AsyncDisposable, freed?: void | Promise<void>): void {
    this.#programs.delete(resource as AsyncDisposable); // whichever it is, the other set does not have it
    this.#others.delete(resource as Disposable);
    if (freed) this.#freeing.add(freed);
  }

  /** Ends loads, disposes everything and then does what is left. Later calls wait for the first. */
  dispose(rest: () => void | Promise<void> = () => undefined): Promise<void> {
    this.#disposed ??= this.#dispose(rest);
    return this.#disposed;
  }

  async #dispose(rest: () => void | Promise<void>): Promise<void> {
    this.#end.abort(new PolyllamaError("ERR_DISPOSED", "The device was disposed; create another one."));
    await this.#loads.settled();
    await Promise.all([...this.#programs].map((program) => program[Symbol.asyncDispose]()));
    for (const resource of this.#others) resource[Symbol.dispose]();
    await this.#freeing.settled();
    await rest();
  }
}
