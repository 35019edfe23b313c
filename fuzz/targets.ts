// All parsers that are fuzzed: those of checkpoints' files, and the templates that come with them.

import { fuzzTargets } from "@polyllama/checkpoints/fuzz";
import type { Target } from "@polyllama/test-support/fuzz/target";
import { chatTemplateTarget } from "polyllama/fuzz";

export async function allTargets(): Promise<readonly Target[]> {
  return [...(await fuzzTargets()), chatTemplateTarget];
}
