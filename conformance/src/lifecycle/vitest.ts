// The lifecycle rules as vitest tests, for the backend's own test file:
//
//   import { lifecycle } from "@polyllama/conformance/vitest";
//   lifecycle(() => myBackend());

import type { Backend } from "@polyllama/core";
import { describe, test } from "vitest";
import { support } from "../support.ts";
import { lifecycleCases } from "./cases.ts";
import { withoutLeaks } from "./leaks.ts";
import { model } from "./subject.ts";

/** What the lifecycle suite is run on. */
export interface LifecycleOptions<Own extends Backend> {
  /**
   * What of the backend is alive, counted on its device: buffers, handles, bytes; the same after everything was
   * disposed as before.
   */
  readonly live?: (backend: Own) => unknown;
  /** Milliseconds that a case may take before it counts as hanging; default 60,000. */
  readonly timeout?: number;
}

/** Emits one test per rule, each on a backend of its own. */
export function lifecycle<Own extends Backend>(
  createBackend: () => Own | Promise<Own>,
  { live = () => 0, timeout = 60_000 }: LifecycleOptions<Own> = {},
): void {
  describe("lifecycle", () => {
    for (const { name, samples, run } of lifecycleCases) {
      test(name, { timeout }, async (context) => {
        await using backend = await createBackend();
        await withoutLeaks(backend, live, async () => {
          if (samples === true) {
            const found = await support(backend, { ...model(), sampling: true });
            if (found.status !== "supported") return context.skip(found.reason);
            await found.program[Symbol.asyncDispose]();
          }
          await run(backend);
        });
      });
    }
  });
}
