// Plans give the values of their graph: for random graphs and the model, whatever is asked for, whatever a backend has
// kernels for, and however memory is shared.

import { buildGraph, type FormatName, type Graph, type Value } from "@polyllama/core";
import {
  type Fusion,
  groupWeights,
  makePlan,
  type Plan,
  type PlanPreferences,
  type PlanRequest,
  type WeightPreferences,
} from "@polyllama/planner";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { infosOf, model } from "./support.ts";
import { batchFor } from "./values/batch.ts";
import { type Evaluated, evaluate } from "./values/evaluate.ts";
import { runPlan } from "./values/run-plan.ts";

/** What a step does on the way must be something that a backend has a kernel for, in the rows that it computes. */
function checkKernels({ steps }: Plan, { fusions, conversion }: PlanPreferences): void {
  for (const step of steps) {
    const has = (fusion: Fusion): boolean => fusions[step.rows].has(fusion);
    if (step.kind === "linear") {
      const { norm, residual, gated, converted, group } = step;
      expect(converted, step.label).toBe(conversion?.formats.has(group.format) === true);
      if (norm !== undefined) expect([has("normLinear"), converted], step.label).toEqual([true, false]);
      if (residual !== undefined) expect(has("linearAdd"), step.label).toBe(true);
      if (gated !== undefined) expect(has("linearSwiglu"), step.label).toBe(true);
    } else if (step.kind === "convert") {
      if (step.norm !== undefined) expect(conversion?.absorbs, step.label).toContain("rmsNorm");
      if (step.up !== undefined) expect(conversion?.absorbs, step.label).toContain("swiglu");
    } else if (step.kind === "cache") {
      const { kRotation, q, attention } = step;
      if ((kRotation === undefined && q === undefined) || has("ropeCache")) continue;
      expect(has("ropeAttention"), step.label).toBe(true);
      expect(kRotation, step.label).toEqual(q?.rotation); // which a kernel of attention has only one of
      expect(kRotation?.headDim, step.label).toBe(attention.headDim);
    } else if (step.kind === "add" && step.normed !== undefined) expect(has("addNorm"), step.label).toBe(true);
  }
}

interface Case {
  readonly graph: Graph;
  /** Formats of weights other than q8_0. */
  readonly formats: Readonly<Record<string, FormatName>>;
  readonly request: PlanRequest;
  readonly preferences: PlanPreferences;
  readonly stored: WeightPreferences;
  readonly memory: "slots" | "arena";
}

function check({ graph, formats, request, preferences, stored, memory }: Case): void {
  const infos = infosOf([graph], formats);
  const batch = batchFor(graph, infos);
  const plan = makePlan(graph, groupWeights([graph], infos, stored), request, preferences);
  checkKernels(plan, preferences);
  const expected = evaluate(graph, batch);
  const ran = runPlan(plan, batch, memory);
  const asked = graph.nodes
    .map(({ output }) => output)
    .filter((value) => request.all.has(value) || request.selected.has(value));
  expect(new Set(ran.values.keys())).toEqual(new Set(asked));
  for (const [value, rows] of ran.values) {
    const all = expected.values.get(value)!; // every node was evaluated
    const selects = preferences.selectsRows && !request.all.has(value);
    expect(rows, value).toEqual(selects ? batch.selected.map((n) => all[n]) : all);
  }
  const attentions = graph.nodes.filter(({ op }) => op === "attention");
  expect(new Set(ran.filled).size).toBe(ran.filled.length);
  if (request.fillsCaches) expect([...ran.filled].sort()).toEqual([...attentions.keys()]);
  const cached = ({ pasts }: Pick<Evaluated, "pasts">) => ran.filled.map((index) => pasts[index]);
  expect(cached(ran)).toEqual(cached(expected));
}

const everyFusion: readonly Fusion[] = [
  "normLinear",
  "linearAdd",
  "linearSwiglu",
  "addNorm",
  "ropeCache",
  "ropeAttention",
];
const fusions = fc.subarray([...everyFusion]).map((chosen) => new Set(chosen));
const absorbs = fc.subarray<"rmsNorm" | "swiglu">(["rmsNorm", "swiglu"]);

const preferences: fc.Arbitrary<PlanPreferences> = fc.record({
  padding: fc.constantFrom(1, 4),
  selectsRows: fc.boolean(),
  cachesAlone: fc.boolean(),
  partialGroups: fc.boolean(),
  fusions: fc.record({ all: fusions, selected: fusions }),
  conversion: fc.option(
    absorbs.map((absorbs) => ({ formats: new Set<FormatName>(["q8_0"]), absorbs, values: 1, words: 1, extraWords: 2 })),
    { nil: undefined },
  ),
});
const stored: fc.Arbitrary<WeightPreferences> = fc.record({
  rowMultiple: fc.constantFrom(1, 4, 16),
  alternates: fc.boolean(),
});

function requestFor(graph: Graph): fc.Arbitrary<PlanRequest> {
  const values = fc.subarray(graph.nodes.map(({ output }) => output)).map((chosen) => new Set(chosen));
  return fc.record({ all: values, selected: values, fillsCaches: fc.boolean() });
}

function casesOf(graph: Graph, formats: fc.Arbitrary<Case["formats"]>): fc.Arbitrary<Case> {
  const memory = fc.constantFrom<Case["memory"]>("slots", "arena");
  return fc.record({ graph: fc.constant(graph), formats, request: requestFor(graph), preferences, stored, memory });
}

const width = 8;
const heads = { heads: 2, kvHeads: 2, headDim: 4 };
const rotations = [
  { headDim: 4, theta: 100, scaling: { type: "none" } },
  { headDim: 4, theta: 100, scaling: { type: "linear", factor: 3 } },
  { headDim: 4, theta: 100, scaling: { type: "linear", factor: 5 } },
  { headDim: 8, theta: 50, scaling: { type: "none" } },
] as const;

/** As often as each stands here. */
const kinds = [
  "rmsNorm",
  "linear",
  "linear",
  "linear",
  "rope",
  "attention",
  "rotated",
  "swiglu",
  "add",
  "add",
] as const;

/** A node, by numbers that choose among what there is. */
const recipe = fc.record({
  op: fc.constantFrom(...kinds),
  operands: fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
  weight: fc.nat(7),
});

/** Graphs of nodes that read the last values or any before, all of one width. */
const randomGraph: fc.Arbitrary<Graph> = fc.array(recipe, { minLength: 1, maxLength: 12 }).map((recipes) =>
  buildGraph((g) => {
    const values: Value[] = [
      g.activations("x", width),
      g.embedding("e", g.tokens("tokens"), g.weight("table", [4, width])),
    ];
    for (const [i, { op, operands, weight }] of recipes.entries()) {
      // three
      const [a, b, c] = operands.map((number) => values.at(-1 - (number % values.length))!) as [Value, Value, Value];
      const y = `y${i}`;
      const rotation = rotations[weight % rotations.length]!;
      const made = {
        rmsNorm: () => g.rmsNorm(y, a, g.weight(`n${weight % 2}`, [width]), { eps: 1e-5 }),
        linear: () => g.linear(y, a, g.weight(`w${weight}`, [width, width])),
        rope: () => g.rope(y, a, rotation),
        attention: () => g.attention(y, a, b, c, heads),
        rotated() {
          const [q, k] = [
            g.rope(`${y}.q`, a, rotation),
            g.rope(`${y}.k`, b, rotations[operands[2]! % rotations.length]!),
          ];
          return g.attention(y, q, k, weight % 3 === 0 ? k : c, heads);
        },
        swiglu: () => g.swiglu(y, a, b),
        add: () => g.add(y, a, b),
      }[op]();
      values.push(made);
    }
    return values.slice(-1);
  }),
);

const formats = fc
  .subarray(["w0", "w1", "w2", "w3"])
  .map((names) => Object.fromEntries(names.map((name) => [name, "f16" as const])));

describe("values of plans are those of the graph", () => {
  test("for random graphs", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        randomGraph.chain((graph) => casesOf(graph, formats)),
        check,
      ),
      { numRuns: 1000, seed: 1 },
    );
  });

  test("for the model", { timeout: 60_000 }, () => {
    const mixed = fc.constantFrom({}, { "layers.0.attention.wv.weight": "f16" as const });
    fc.assert(fc.property(casesOf(model, mixed), check), { numRuns: 60, seed: 1 });
  });
});
