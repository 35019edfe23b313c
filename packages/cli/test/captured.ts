// Runs something within the test's own process: what it prints is kept, and what it reads is given. Cheaper by seconds
// than a process, which tests need where signals, closed streams or the start itself are what they look at.

import { Readable } from "node:stream";
import { vi } from "vitest";
import { run as runProgram } from "../src/index.ts";

export interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

export interface Finished extends Printed {
  readonly code: number;
}

let turn: Promise<unknown> = Promise.resolve();

/**
 * Calls `action`; what it returned, or threw, and what it printed. Standard input is `input`. Calls at once take turns.
 */
export function captured<T>(action: () => Promise<T>, input = ""): Promise<Printed & { result?: T; error?: unknown }> {
  const result = turn.then(() => capture(action, input));
  turn = result.catch(() => undefined);
  return result;
}

async function capture<T>(action: () => Promise<T>, input: string): Promise<Printed & { result?: T; error?: unknown }> {
  const printed = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((chunk, encoding, callback) => {
      printed[name] += String(chunk);
      const taken = typeof encoding === "function" ? encoding : callback;
      if (taken !== undefined) queueMicrotask(() => taken()); // the program waits until its output is taken
      return true;
    }),
  );
  const stdin = vi.spyOn(process, "stdin", "get").mockReturnValue(inputOf(input));
  const outcome = await action().then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  for (const spy of [...spies, stdin]) spy.mockRestore();
  return { ...outcome, ...printed };
}

function inputOf(text: string): typeof process.stdin {
  const bytes = text === "" ? [] : [Buffer.from(text)];
  return Readable.from(bytes) as typeof process.stdin; // a stream of bytes, as a pipe is
}

/** Runs the program to its end, without a process of its own. Standard input is `input`. */
export async function run(args: readonly string[], input = ""): Promise<Finished> {
  const { result, error, ...printed } = await captured(() => runProgram(args), input);
  if (result === undefined) throw error;
  return { code: result, ...printed };
}

/** The same, without input. */
export function runHere(...args: string[]): Promise<Finished> {
  return run(args);
}
