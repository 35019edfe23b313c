// Lines of standard input, one at a time: with editing and history on a terminal, and from a pipe as they come. Lines that
// arrive while nobody waits, typed ahead or pasted, are kept.

import { createInterface } from "node:readline";

export interface Lines extends Disposable {
  /** The next line, or undefined at the end of the input. Rejects with the signal's reason. */
  next(signal: AbortSignal): Promise<string | undefined>;
}

/** @param interrupt Called for Ctrl-C, which the system does not report while lines are edited. */
export function readLines(prompt: string, interrupt: () => void): Lines {
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const reader = createInterface({
    input: process.stdin,
    ...(terminal && { output: process.stdout }),
    terminal,
    prompt,
  });
  const waiting: string[] = [];
  let ended = false;
  let wake = (): void => {};
  reader.on("line", (line) => {
    waiting.push(line);
    wake();
  });
  reader.on("close", () => {
    ended = true;
    wake();
  });
  reader.on("SIGINT", interrupt);

  return {
    async next(signal) {
      if (terminal && waiting.length > 0) process.stdout.write(`${prompt}${waiting[0]}\n`);
      else if (terminal && !ended) reader.prompt(true);
      const abort = (): void => wake();
      signal.addEventListener("abort", abort);
      try {
        for (;;) {
          if (terminal && (signal.aborted || (ended && waiting.length === 0))) process.stdout.write("\n");
          signal.throwIfAborted();
          if (waiting.length > 0) return waiting.shift();
          if (ended) return undefined;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
    [Symbol.dispose]: () => reader.close(),
  };
}
