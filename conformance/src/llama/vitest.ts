// The Llama suite as vitest tests, for the backend's own test file:
//
//   import { llama } from "@polyllama/conformance/vitest";
//   llama(() => myBackend());

import type { DeviceOption } from "polyllama";
import { afterAll, beforeAll, describe, test } from "vitest";
import { createLlamaSubject, type LlamaSubject, llamaCases } from "./cases.ts";

/** How the Llama suite is run. */
export interface LlamaSuiteOptions {
  /** Which cases become tests, by name; default: all. */
  readonly filter?: (name: string) => boolean;
  /** Milliseconds that a case may take before it counts as hanging; default 120,000. */
  readonly timeout?: number;
}

type OwnBackend = DeviceOption & AsyncDisposable;

/** Emits one test per case of generation, chat and sequences. The backend is created once and disposed at the end. */
export function llama(
  createBackend: () => OwnBackend | Promise<OwnBackend>,
  { filter = () => true, timeout = 120_000 }: LlamaSuiteOptions = {},
): void {
  describe("Llama", () => {
    let backend: OwnBackend;
    let subject: LlamaSubject;
    beforeAll(async () => {
      backend = await createBackend();
      subject = createLlamaSubject(backend);
    });
    afterAll(async () => {
      await subject[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    });
    for (const { name, run } of llamaCases) if (filter(name)) test(name, { timeout }, () => run(subject));
  });
}
