// The logits of a small model, all rows at once: within the estimated tolerance, and the same tokens wherever that
// decides.

import type { Tensor } from "@polyllama/core";
import { roundedActivations } from "../activations.ts";
import { compareChoices, tooFewDecided } from "../comparison/choices.ts";
import { at, wrong } from "../comparison/measure.ts";
import { measureTolerance } from "../comparison/tolerance.ts";
import { support } from "../support.ts";
import { drawModel, logitsTolerance, type ModelCheck } from "./small.ts";

export const checkEnd: ModelCheck = async (device, model, stream) => {
  const drawn = drawModel(model, stream);
  const { graph, tokens } = drawn;
  const supported = await support(device, drawn);
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const tolerance = await logitsTolerance(drawn, device);
  const [logits] = (await loaded.run({ inputs: { tokens } }, graph.outputs)) as [Tensor]; // a model has one output
  const found = at("logits", measureTolerance(logits, tolerance));
  if (found.problem !== undefined) return found;
  const choices = compareChoices(logits, tolerance);
  if (choices.wrong !== undefined) return wrong(`row ${choices.wrong}: another token is most probable`);
  const few = roundedActivations(device.roundings, [model.format]) === "f32" ? tooFewDecided(choices) : undefined;
  return few === undefined ? found : wrong(few);
};
