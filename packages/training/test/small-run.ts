// A run that takes a second: a model of 26,000 parameters on the reference, and documents made from a seed.

import { reference } from "@polyllama/backend-reference";
import { openSynthetic } from "@polyllama/checkpoints";
import { uniform } from "@polyllama/test-support/random";
import { type Example, recipes, shuffledExamples } from "../src/index.ts";
import { type RunOptions, runTraining } from "../src/node.ts";

const sizes = "layers=1&dim=32&heads=2&kv_heads=1&hidden=48&vocab=280&context=64&format=f32";

/** The model that is trained. */
export const smallModel: RunOptions["model"] = openSynthetic(`synthetic://tinyllama-1.1b?seed=3&${sizes}`);

const next = uniform(5);
const examples = Array.from({ length: 23 }, (): Example => {
  const ids = Array.from({ length: 2 + Math.floor(14 * next()) }, () => Math.floor(280 * next()));
  return { ids, counts: ids.map(() => 1) };
});

/** Options of the run; `device` has to be given. */
export const smallOptions: Omit<RunOptions, "device" | "folder"> = {
  model: smallModel,
  data: shuffledExamples(examples, { length: 16, sequences: 3, microBatch: 2, seed: 11 }),
  recipe: { ...recipes["pretrain-7b"], peak: 0.01, warmup: 2, length: 16, batch: { size: 3, of: "sequences" } },
  steps: 20,
  seed: 11,
  saveEvery: 2,
  keep: 2,
};

/** Runs it on the reference. */
export async function smallRun(folder: string, changes: Partial<RunOptions> = {}): ReturnType<typeof runTraining> {
  await using device = reference();
  return await runTraining({ device, folder, ...smallOptions, ...changes });
}
