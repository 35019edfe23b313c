// The device cases as vitest tests, for the backend's own test file:
//
//   import { devices } from "@polyllama/conformance/vitest";
//   devices(() => myDevice());

import type { Device } from "@polyllama/core/device";
import { describe, test } from "vitest";
import { deviceCases } from "./cases.ts";
import { withoutLeaks } from "./leaks.ts";

/** How the device cases are run. */
export interface DevicesOptions<Own extends Device> {
  /**
   * What of the device is alive, by its own count: buffers, handles, bytes; the same after everything was disposed as
   * before.
   */
  readonly live?: (device: Own) => unknown;
  /** Milliseconds that a case may take before it counts as hanging; default 60,000. */
  readonly timeout?: number;
}

/** Emits one test per case, each on a device of its own. */
export function devices<Own extends Device>(
  createDevice: () => Own | Promise<Own>,
  { live = () => 0, timeout = 60_000 }: DevicesOptions<Own> = {},
): void {
  describe("device", () => {
    for (const { name, needs, run } of deviceCases) {
      test(name, { timeout }, async (context) => {
        await using device = await createDevice();
        const missing = needs?.(device);
        if (missing !== undefined) context.skip(missing);
        await withoutLeaks(
          () => live(device),
          () => run(device),
        );
      });
    }
  });
}
