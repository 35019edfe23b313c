// Ctrl-C, termination, and output that is closed or full, as abort signals. Ctrl-C stops the innermost work first:
// while an answer is written, that answer alone; otherwise the program. A second one while something is already
// stopping ends the process at once, so that nobody is ever locked in.

import { Exit, OutputError } from "./exit.ts";

export interface Interrupts extends Disposable {
  /** Aborted, with an {@link Exit} as its reason, when the program shall end. */
  readonly signal: AbortSignal;
  /** Why output was lost, if it was. */
  readonly lost: OutputError | undefined;
  /** What Ctrl-C does; for terminals in raw mode, where the system sends no signal. */
  interrupt(): void;
  /** Runs work that the first Ctrl-C stops by itself. Its signal is aborted in either case. */
  stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** Takes over the process's signals until it is disposed. */
export function createInterrupts(): Interrupts {
  const program = new AbortController();
  let answer: AbortController | undefined;

  const stop = (code: number): void => {
    if (program.signal.aborted) leave(code);
    program.abort(new Exit(code));
  };
  const interrupt = (): void => {
    if (answer === undefined) stop(130);
    else if (answer.signal.aborted) leave(130);
    else answer.abort(new Exit(130));
  };
  const terminate = (): void => stop(143);
  const hangUp = (): void => stop(129);
  // The reader of the output has seen enough, as `head` does: that is not a failure. What is lost for another reason is
  // one.
  let lost: OutputError | undefined;
  const closed = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") lost ??= new OutputError(error);
    program.abort(lost ?? new Exit(0));
  };

  process.on("SIGINT", interrupt);
  process.on("SIGTERM", terminate);
  process.on("SIGHUP", hangUp);
  process.stdout.on("error", closed);
  process.stderr.on("error", closed);
  return {
    signal: program.signal,
    get lost() {
      return lost;
    },
    interrupt,
    async stoppable(work) {
      const own = new AbortController();
      answer = own;
      try {
        return await work(AbortSignal.any([program.signal, own.signal]));
      } finally {
        answer = undefined;
      }
    },
    [Symbol.dispose]() {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", terminate);
      process.off("SIGHUP", hangUp);
      process.stdout.off("error", closed);
      process.stderr.off("error", closed);
    },
  };
}

/** The result of `promise`, unless the signal is aborted first; the work behind it is not stopped by that. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function leave(code: number): never {
  if (process.stderr.isTTY) process.stderr.write("\x1B[?25h\n"); // a progress bar may have hidden the cursor
  process.exit(code);
}
