// What several test files share.

import { describeWithSystem } from "@polyllama/test-support/system";
import * as tiny from "@polyllama/test-support/tiny-model";
import { describe } from "vitest";

/** `describe` for suites that need an adapter: on Linux the software one, elsewhere what the system has. */
export function describeWithAdapter(name: string, define: () => void): void {
  if (process.platform === "linux") describeWithSystem("vulkan", name, define);
  else describe(name, define);
}

/** A small model with random weights. */
export const tinyModel = (): tiny.TinyModel => tiny.tinyModel({ vocabSize: 256 });
