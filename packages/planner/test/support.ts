// Graphs and preferences that several test files share.

import {
  type FormatName,
  type Graph,
  type LlamaConfig,
  llamaGraph,
  type ValueName,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import {
  type Fusion,
  groupWeights,
  makePlan,
  type Plan,
  type PlanPreferences,
  type PlanRequest,
  type WeightPreferences,
} from "@polyllama/planner";

export const config: LlamaConfig = {
  dim: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  hiddenDim: 96,
  vocabSize: 128,
  contextLength: 64,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
};

export const model: Graph = llamaGraph(config);

/** All weights of graphs in one format, but for some. */
export function infosOf(
  graphs: readonly Graph[],
  others: Readonly<Record<WeightName, FormatName>> = {},
): ReadonlyMap<WeightName, WeightInfo> {
  const specs = graphs.flatMap(({ weights }) => weights);
  return new Map(
    specs.map(({ name, shape }) => [
      name,
      { name, shape, format: shape.length === 1 ? "f32" : (others[name] ?? "q8_0") },
    ]),
  );
}

export const stacked: WeightPreferences = { rowMultiple: 4, alternates: false };
export const alternating: WeightPreferences = { rowMultiple: 4, alternates: true };

export function request(asked: {
  readonly all?: readonly ValueName[];
  readonly selected?: readonly ValueName[];
  readonly fillsCaches?: boolean;
}): PlanRequest {
  return {
    all: new Set(asked.all),
    selected: new Set(asked.selected),
    fillsCaches: asked.fillsCaches ?? true,
  };
}

const every: readonly Fusion[] = ["normLinear", "linearAdd", "linearSwiglu", "ropeCache"];

/** Preferences with the given kernels for all rows and for selected ones. */
export function preferring(
  all: readonly Fusion[] = every,
  selected: readonly Fusion[] = all,
  others: Partial<PlanPreferences> = {},
): PlanPreferences {
  return {
    padding: 4,
    selectsRows: true,
    cachesAlone: true,
    partialGroups: false,
    fusions: { all: new Set(all), selected: new Set(selected) },
    ...others,
  };
}

/** A plan of a graph whose weights are stored for it alone, and its steps' labels. */
export function planned(
  graph: Graph,
  asked: PlanRequest,
  preferences: PlanPreferences,
  stored: WeightPreferences = alternating,
): { readonly plan: Plan; readonly labels: readonly string[] } {
  const plan = makePlan(graph, groupWeights([graph], infosOf([graph]), stored), asked, preferences);
  return { plan, labels: plan.steps.map(({ label }) => label) };
}
