// Whole gradients of small models: log-probabilities and the gradient by every weight, within the estimated tolerance.

import { type ConformanceCase, makeCase } from "../case.ts";
import { perturbedRuns } from "../comparison/constants.ts";
import { at, both, exact } from "../comparison/measure.ts";
import { estimateTolerances, measureTolerance } from "../comparison/tolerance.ts";
import { random } from "../random.ts";
import { batchGradients, batchNames, drawBatch, trainedModels } from "./models.ts";
import { untrained } from "./untrained.ts";

export function wholeGradientCases(): readonly ConformanceCase[] {
  return Object.entries(trainedModels).map(([name, model]) =>
    makeCase(
      "training",
      "gradients",
      { model: name },
      async (device, seed) => {
        if (!device.features.updates) return untrained;
        const batch = drawBatch(model, random(`gradients of ${name}`, seed));
        const seeds = Array.from({ length: perturbedRuns }, (_, i) => seed * 1000 + i);
        const tolerances = await estimateTolerances(
          (judge) => batchGradients(judge, model, batch),
          device.roundings,
          seeds,
        );
        const names = batchNames(batch);
        const found = await batchGradients(device, model, batch);
        return found
          .map((value, i) => at(names[i]!, measureTolerance(value, tolerances[i]!))) // one for each
          .reduce(both, exact);
      },
      { training: true },
    ),
  );
}
