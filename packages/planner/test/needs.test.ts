import { buildGraph } from "@polyllama/core";
import { groupWeights } from "@polyllama/planner";
import { describe, expect, test } from "vitest";
import { findNeeds, type Needs, type PlanRequest } from "../src/plan/needs.ts";
import { alternating, infosOf, model, request } from "./support.ts";

const weights = groupWeights([model], infosOf([model]), alternating);
const preferences = { selectsRows: true, cachesAlone: true };

function needs(asked: PlanRequest, others: Partial<typeof preferences & { hostEmbeddings: boolean }> = {}): Needs {
  return findNeeds(model, asked, weights, { ...preferences, ...others });
}

function outputs({ nodes }: Needs): readonly string[] {
  return nodes.map(({ output }) => output);
}

describe("what is needed", () => {
  test("is what asked values depend on, and nothing behind them", () => {
    const found = needs(request({ all: ["layers.0.k_rope"], fillsCaches: false }));
    expect(outputs(found)).toEqual(["embedding", "layers.0.attention_norm", "layers.0.k", "layers.0.k_rope"]);
    expect(found.readers.get("layers.0.attention_norm")!.map(({ output }) => output)).toEqual(["layers.0.k"]);
  });

  test("is all that fills caches, but not the queries of the last attention", () => {
    const found = needs(request({ all: ["layers.0.q"] }));
    expect(found.cacheOnly).toEqual(new Set(["layers.1.attention"]));
    expect(outputs(found)).toContain("layers.0.attention");
    expect(outputs(found).filter((name) => name.startsWith("layers.1."))).toEqual([
      "layers.1.attention_norm",
      "layers.1.k",
      "layers.1.v",
      "layers.1.k_rope",
      "layers.1.attention",
    ]);
  });

  test("is the whole attention where a backend cannot fill caches otherwise", () => {
    const found = needs(request({}), { cachesAlone: false });
    expect(found.cacheOnly.size).toBe(0);
    expect(outputs(found)).toContain("layers.1.q_rope");
    expect(outputs(found)).not.toContain("layers.1.wo");
  });

  test("leaves to the host what it looks up", () => {
    const found = needs(request({ all: ["layers.0.q", "embedding"], fillsCaches: false }), { hostEmbeddings: true });
    expect(outputs(found)).toEqual(["layers.0.attention_norm", "layers.0.q"]);
    expect(found.readers.has("tokens")).toBe(false);
  });
});

describe("rows", () => {
  test("are selected from behind the last attention on", () => {
    const { rows } = needs(request({ selected: ["logits"] }));
    const selected = [...rows].filter(([, which]) => which === "selected").map(([name]) => name);
    expect(selected.sort()).toEqual(
      ["wo", "h", "ffn_norm", "gate", "up", "swiglu", "down", "out"]
        .map((name) => `layers.1.${name}`)
        .concat(["norm", "logits"])
        .sort(),
    );
  });

  test("are all where a backend does not select, or where somebody asks for all", () => {
    const whole = [
      needs(request({ selected: ["logits"] }), { selectsRows: false }),
      needs(request({ all: ["logits"], selected: ["norm"] })),
    ];
    for (const { rows } of whole) expect(new Set(rows.values())).toEqual(new Set(["all"]));
  });

  test("are all for what is multiplied together with something that needs all", () => {
    // Nobody attends in the last layer: its queries are asked for in selected rows, its keys and values go to the
    // cache.
    const { rows } = needs(request({ selected: ["layers.1.q"] }));
    for (const name of ["q", "k", "v", "attention_norm"]) expect(rows.get(`layers.1.${name}`)).toBe("all");
  });

  test("are selected where a value is asked for that nothing reads", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      return [g.add("y", x, x), g.rmsNorm("z", x, g.weight("w", [32]), { eps: 1e-5 })];
    });
    const { rows } = findNeeds(graph, request({ selected: ["y"], all: ["z"] }), { places: new Map() }, preferences);
    expect([rows.get("y"), rows.get("z")]).toEqual(["selected", "all"]);
  });
});
