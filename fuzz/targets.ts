// All parsers that are fuzzed: those of checkpoints' files, and the templates that come with them.

import type { Target } from "../packages/checkpoints/fuzz/targets.ts";
import { fuzzTargets } from "../packages/checkpoints/fuzz/targets.ts";
import { chatTemplateTarget } from "../packages/polyllama/fuzz/chat-templates.ts";

export async function allTargets(): Promise<readonly Target[]> {
  return [...(await fuzzTargets()), chatTemplateTarget];
}
