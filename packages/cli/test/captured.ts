// Runs something within the test's own process, and keeps what it prints.

import { vi } from "vitest";
import { run } from "../src/index.ts";

export interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls `action`; what it returned, or threw, and what it printed. */
export async function captured<T>(action: () => Promise<T>): Promise<Printed & { result?: T; error?: unknown }> {
  const printed = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((chunk, encoding, callback) => {
      printed[name] += String(chunk);
      const taken = typeof encoding === "function" ? encoding : callback;
      if (taken !== undefined) queueMicrotask(() => taken()); // the program waits until its output is taken
      return true;
    }),
  );
  const outcome = await action().then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  for (const spy of spies) spy.mockRestore();
  return { ...outcome, ...printed };
}

/** Runs the program with these arguments, without a process of its own. */
export async function runHere(...args: string[]): Promise<Printed & { readonly code: number }> {
  const { result, error, ...printed } = await captured(() => run(args));
  if (result === undefined) throw error;
  return { code: result, ...printed };
}
