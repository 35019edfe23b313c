// The emulation of a card for tests: built once, or the reason why it is not there.

import type { CudaOptions } from "@polyllama/backend-cuda";
import { buildEmulation, type Emulation, emulationMissing } from "@polyllama/backend-cuda/emulation";
import { describe } from "vitest";

const missing = emulationMissing();

/** `describe` for suites on the emulated card; the emulation is built before. */
export async function describeWithEmulation(name: string, define: (emulation: Emulation) => void): Promise<void> {
  if (missing !== undefined) describe.skip(`${name} (not run: ${missing})`, () => undefined);
  else {
    const emulation = await buildEmulation();
    describe(name, () => define(emulation));
  }
}

/** The options that lead to the emulated card. */
export function emulated({ library, images }: Emulation): CudaOptions {
  return { library, images };
}
