// The programs of a backend, from the beginning of their loading on: what disposing the backend has to end.

import type { Program } from "./backend.ts";
import { PolyllamaError } from "./errors.ts";

/** The programs of a backend that are not disposed yet. */
export class ProgramSet<Own extends Program> {
  readonly #programs = new Set<Own>();
  readonly #loads = new Set<Promise<unknown>>();
  readonly #end = new AbortController();
  #disposed: Promise<void> | undefined;

  /** @throws {PolyllamaError} `ERR_DISPOSED` */
  assertAlive(): void {
    this.#end.signal.throwIfAborted();
  }

  /**
   * Loads a program, which is then among those that {@link dispose} disposes.
   *
   * @param signal The caller's.
   * @param action Its signal is aborted by the caller's and by {@link dispose}.
   * @throws what the action throws; `ERR_DISPOSED` where the backend is disposed before it ends.
   */
  async load(signal: AbortSignal | undefined, action: (signal: AbortSignal) => Promise<Own>): Promise<Own> {
    this.assertAlive();
    signal?.throwIfAborted();
    const either = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    const load = this.#load(either, action);
    this.#loads.add(load);
    try {
      return await load;
    } finally {
      this.#loads.delete(load);
    }
  }

  async #load(signal: AbortSignal, action: (signal: AbortSignal) => Promise<Own>): Promise<Own> {
    let program: Own;
    try {
      program = await action(signal);
    } catch (error) {
      this.assertAlive(); // whatever else failed, failed because of that
      throw error;
    }
    if (this.#end.signal.aborted) await program[Symbol.asyncDispose]();
    this.assertAlive();
    this.#programs.add(program);
    return program;
  }

  /** To be called by a program when it has been disposed. */
  delete(program: Own): void {
    this.#programs.delete(program);
  }

  /**
   * Ends loads, disposes all programs and then does what is left. Later calls wait for the first.
   */
  dispose(rest: () => void | Promise<void> = () => undefined): Promise<void> {
    this.#disposed ??= this.#dispose(rest);
    return this.#disposed;
  }

  async #dispose(rest: () => void | Promise<void>): Promise<void> {
    this.#end.abort(new PolyllamaError("ERR_DISPOSED", "The backend was disposed; create another one."));
    await Promise.allSettled(this.#loads);
    await Promise.all([...this.#programs].map((program) => program[Symbol.asyncDispose]()));
    await rest();
  }
}
