// The lifecycle rules as vitest tests, for the backend's own test file:
//
//   import { lifecycle } from "@polyllama/conformance/vitest";
//   lifecycle(() => myBackend());

import type { Backend } from "@polyllama/core";
import { describe, expect, test } from "vitest";
import { lifecycleCases } from "./cases.ts";
import { compile, logits, step } from "./subject.ts";

/** What the lifecycle suite is run on. */
export interface LifecycleOptions<Own extends Backend> {
  /** What of the backend is alive, counted on its device: buffers, handles, bytes; the same after everything was disposed as before. */
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
        const before = live(backend);
        if (samples === true) {
          await using program = await compile(backend);
          if (program.sample === undefined) context.skip("tokens are chosen on the host");
        }
        await run(backend);
        expect(live(backend)).toEqual(before);
      });
    }

    test("disposing a backend disposes its programs; it refuses to compile, and a second disposal waits for the first", {
      timeout,
    }, async () => {
      const backend = await createBackend();
      const program = await compile(backend);
      const order: string[] = [];
      const running = logits(program, step(300)).then(
        () => order.push("run"),
        () => order.push("run"),
      );
      const disposals = [1, 2].map(() =>
        Promise.resolve(backend[Symbol.asyncDispose]()).then(() => order.push("dispose")),
      );
      await Promise.all([running, ...disposals]);
      expect(order).toEqual(["run", "dispose", "dispose"]);
      await expect(program.run(step(1), ["logits"])).rejects.toMatchObject({ code: "ERR_DISPOSED" });
      await expect(compile(backend)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    });

    test("disposing a backend while it loads ends the load", { timeout }, async () => {
      const backend = await createBackend();
      const loading = compile(backend);
      const outcome = loading.then(
        async (program) => program.run(step(1), ["logits"]),
        (error: unknown) => Promise.reject(error),
      );
      outcome.catch(() => undefined);
      await backend[Symbol.asyncDispose]();
      await expect(outcome).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    });
  });
}
