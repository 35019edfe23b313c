// The suite as vitest tests, for the backend's own test file:
//
//   import { conformance } from "@polyllama/conformance/vitest";
//   conformance(() => myDevice());

import type { Device } from "@polyllama/core/device";
import { afterAll, beforeAll, describe, test } from "vitest";
import { addressFilter } from "./address.ts";
import type { ConformanceCase } from "./case.ts";
import { conformanceCases } from "./cases.ts";
import { type Expectations, isAsExpected, judge, unmatched } from "./expectations.ts";

export type { DevicesOptions } from "./device/vitest.ts";
export { devices } from "./device/vitest.ts";
export type { LlamaSuiteOptions } from "./llama/vitest.ts";
export { llama } from "./llama/vitest.ts";

/** Which cases become tests, and what is expected of them. */
export interface ConformanceOptions {
  /** Run only these cases, as {@link addressFilter} has it or as a function decides; default: all. */
  readonly filter?: string | ((address: string) => boolean);
  readonly expectations?: Expectations;
  /** Default 1. */
  readonly seed?: number;
  /** The same device under `loweredLimits`, where its limits make it split what is large. */
  readonly lowered?: () => Device | Promise<Device>;
  /** Whether the device has every path, so that one that is absent is a failure; default false. */
  readonly everyPath?: boolean;
  /** Whether cases that take long are run; default false. */
  readonly slow?: boolean;
  /** Milliseconds that a case may take; default 120,000. */
  readonly timeout?: number;
}

/** Emits one test per case, grouped by suite and name. The device is opened once and disposed at the end. */
export function conformance(
  createDevice: () => Device | Promise<Device>,
  {
    filter,
    expectations = {},
    seed = 1,
    lowered: createLowered,
    everyPath = false,
    slow = false,
    timeout = 120_000,
  }: ConformanceOptions = {},
): void {
  const wanted = typeof filter === "string" ? addressFilter(filter) : (filter ?? (() => true));
  const groups = new Map<string, ConformanceCase[]>();
  const stale = unmatched(
    expectations,
    conformanceCases().map(({ address }) => address),
  );
  if (stale.length > 0) throw new Error(`No case has what is expected to fail: ${stale.join(", ")}.`);
  for (const entry of conformanceCases().filter((entry) => wanted(entry.address) && (slow || entry.slow !== true))) {
    const group = entry.address.split(":", 2).join(":");
    groups.set(group, [...(groups.get(group) ?? []), entry]);
  }
  describe("conformance", () => {
    let device: Device;
    let lowered: Device | undefined;
    beforeAll(async () => {
      device = await createDevice();
      lowered = await createLowered?.();
    });
    afterAll(async () => {
      await device[Symbol.asyncDispose]();
      await lowered?.[Symbol.asyncDispose]();
    });
    for (const [group, cases] of groups) {
      describe(group, () => {
        for (const { address, run } of cases) {
          test(address, { timeout }, async (context) => {
            const { verdict, reason } = judge(await run(device, seed, lowered), expectations);
            if (verdict === "passed") return;
            if (isAsExpected(verdict) && !(verdict === "absent" && everyPath)) context.skip(reason);
            throw new Error(`${address}: ${verdict}: ${reason}`);
          });
        }
      });
    }
  });
}
