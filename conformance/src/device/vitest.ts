// The device cases as vitest tests, for the backend's own test file:
//
//   import { devices } from "@polyllama/conformance/vitest";
//   devices(() => myDevice());

import type { Device } from "@polyllama/core/device";
import { describe, test } from "vitest";
import { deviceCases } from "./cases.ts";

/** Emits one test per case, each on a device of its own. */
export function devices(
  createDevice: () => Device | Promise<Device>,
  { timeout = 60_000 }: { readonly timeout?: number } = {},
): void {
  describe("device", () => {
    for (const { name, needs, run } of deviceCases) {
      test(name, { timeout }, async (context) => {
        await using device = await createDevice();
        const missing = needs?.(device);
        if (missing !== undefined) context.skip(missing);
        await run(device);
      });
    }
  });
}
