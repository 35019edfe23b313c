// The Llama suite as vitest tests, for the backend's own test file:
//
//   import { llama } from "@polyllama/conformance/vitest";
//   llama(() => myDevice());

import type { Device } from "@polyllama/core/device";
import { afterAll, beforeAll, describe, test } from "vitest";
import { createLlamaSubject, type LlamaSubject, llamaCases } from "./cases.ts";

/** How the Llama suite is run. */
export interface LlamaSuiteOptions {
  /** Which cases become tests, by name; default: all. */
  readonly filter?: (name: string) => boolean;
  /** Milliseconds that a case may take before it counts as hanging; default 120,000. */
  readonly timeout?: number;
}

/** Emits one test per case of generation, chat and sequences. The device is opened once and disposed at the end. */
export function llama(
  createDevice: () => Device | Promise<Device>,
  { filter = () => true, timeout = 120_000 }: LlamaSuiteOptions = {},
): void {
  describe("Llama", () => {
    let device: Device;
    let subject: LlamaSubject;
    beforeAll(async () => {
      device = await createDevice();
      subject = createLlamaSubject(device);
    });
    afterAll(async () => {
      await subject[Symbol.asyncDispose]();
      await device[Symbol.asyncDispose]();
    });
    for (const { name, run } of llamaCases) if (filter(name)) test(name, { timeout }, () => run(subject));
  });
}
