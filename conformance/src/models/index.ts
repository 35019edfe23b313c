// Cases of whole models, small and random, and of single layers and ends at the dimensions of the published ones. Is
// every operation right, given what the backend itself computed up to there; is the end right, against the estimated
// tolerance; do all ways to the same rows agree. The large ones come last.

import type { ConformanceCase, Marks } from "../case.ts";
import { combinations } from "../combine.ts";
import { checkEnd } from "./end-to-end.ts";
import { layerCases } from "./layers.ts";
import { checkNodes } from "./nodes.ts";
import { checkOverflow } from "./overflow.ts";
import { checkRepetition } from "./repetition.ts";
import { grouped, type ModelCheck, modelCase, smallModels } from "./small.ts";
import { checkWays } from "./ways.ts";

const checks: Readonly<Record<string, readonly [ModelCheck, Marks?]>> = {
  nodes: [checkNodes, { ownBounds: true }],
  "end-to-end": [checkEnd],
  paths: [checkWays],
  repetition: [checkRepetition, { ownBounds: true }],
};

const small = combinations
  .combine("model", Object.entries(smallModels))
  .combine("check", Object.entries(checks))
  .map(({ model: [name, model], check: [check, [run, marks]] }) => modelCase(check, name, model, run, marks));

export { vocabularyCases } from "./vocabularies.ts";

/** Small models and single layers; the ends with large vocabularies are `vocabularyCases`. */
export function modelCases(): readonly ConformanceCase[] {
  return [...small, modelCase("overflow", "grouped", grouped, checkOverflow), ...layerCases()];
}
