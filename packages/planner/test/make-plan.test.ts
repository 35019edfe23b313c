import { buildGraph } from "@polyllama/core";
import type { LinearStep, Plan, PlanStep, StepKind, StepOf } from "@polyllama/planner";
import { describe, expect, test } from "vitest";
import { placesOf } from "../src/plan/lifetimes.ts";
import { config, model, planned, preferring, request, stacked } from "./support.ts";

function ofKind<Kind extends StepKind>({ steps }: Plan, kind: Kind): readonly StepOf<Kind>[] {
  return steps.filter((step): step is StepOf<Kind> => step.kind === kind);
}

function linear(plan: Plan, value: string): LinearStep {
  return ofKind(plan, "linear").find(({ label }) => label.startsWith(`linear ${value} `))!;
}

const kinds = (steps: readonly PlanStep[]): readonly StepKind[] => steps.map(({ kind }) => kind);

const head = config.headDim;

describe("a plan with every kernel", () => {
  const { plan, labels } = planned(model, request({ selected: ["logits"] }), preferring());

  test("has six steps a layer, and rows are gathered behind the last attention", () => {
    expect(labels).toEqual([
      "embedding embedding q8_0 [128, 64]",
      "linear layers.0.q q8_0 [128, 64]",
      "cache of layers.0.attention [4 / 2 x 16]",
      "attention layers.0.attention [4 / 2 x 16]",
      "linear layers.0.wo q8_0 [64, 64]",
      "linear layers.0.gate q8_0 [192, 64]",
      "linear layers.0.down q8_0 [64, 96]",
      "linear layers.1.q q8_0 [128, 64]",
      "cache of layers.1.attention [4 / 2 x 16]",
      "attention layers.1.attention [4 / 2 x 16]",
      "rows of layers.1.attention [64]",
      "rows of layers.0.out [64]",
      "linear layers.1.wo q8_0 [64, 64]",
      "linear layers.1.gate q8_0 [192, 64]",
      "linear layers.1.down q8_0 [64, 96]",
      "linear logits q8_0 [128, 64]",
    ]);
    expect(new Set(plan.steps.slice(10).map(({ rows }) => rows))).toEqual(new Set(["selected"]));
    expect(new Set(plan.steps.slice(0, 10).map(({ rows }) => rows))).toEqual(new Set(["all"]));
    expect(plan.tokens).toBe("tokens");
    expect(plan.inputs.size).toBe(0);
    expect(plan.attentions).toEqual([0, 1].map((index) => ({ index, heads: 4, kvHeads: 2, headDim: head })));
  });

  test("multiplies norms along, and adds residuals", () => {
    const q = linear(plan, "layers.0.q");
    expect(q.norm).toEqual({ weight: "layers.0.attention_norm.weight", eps: 1e-5 });
    expect(q.x).toBe(ofKind(plan, "embedding")[0]!.y);
    const wo = linear(plan, "layers.0.wo");
    expect(wo.residual).toBe(q.x);
    expect(wo.norm).toBeUndefined();
    expect(linear(plan, "layers.0.gate").x).toBe(wo.y);
    expect(linear(plan, "layers.0.gate").gated).toEqual({ gateRow: 0, upRow: 96 });
    expect(linear(plan, "layers.0.down").residual).toBe(wo.y);
  });

  test("has q, k and v side by side, and rotates q and k on the way to the cache", () => {
    const q = linear(plan, "layers.0.q");
    expect([q.firstRow, q.matrixRows, q.y.width, q.y.buffer.stride]).toEqual([0, 128, 128, 128]);
    const [cache] = ofKind(plan, "cache");
    const [attention] = ofKind(plan, "attention");
    expect(cache!.q!.x).toEqual({ buffer: q.y.buffer, offset: 0, width: 64 });
    expect(cache!.k).toEqual({ buffer: q.y.buffer, offset: 64, width: 32 });
    expect(cache!.v).toEqual({ buffer: q.y.buffer, offset: 96, width: 32 });
    expect(cache!.kRotation).toBe(cache!.q!.rotation);
    expect(attention!.q).toBe(cache!.q!.y);
    expect(plan.rotations).toEqual([{ headDim: head, theta: 10000, scaling: { type: "none" }, offset: 0 }]);
    expect(plan.rotationStride).toBe(head / 2);
  });

  test("leaves the logits, and nothing else, when it has run", () => {
    const logits = plan.outputs.get("logits")!;
    expect(logits).toBe(linear(plan, "logits").y);
    expect(logits.buffer.rows).toBe("selected");
    expect(plan.lifetimes.map(({ last }) => last).filter((last) => !Number.isFinite(last))).toHaveLength(1);
    expect(plan.lifetimes[logits.buffer.id]).toEqual({ first: 15, last: Number.POSITIVE_INFINITY });
  });
});

describe("what is not fused", () => {
  test("are values that are asked for", () => {
    const asked = ["layers.0.attention_norm", "layers.0.q_rope", "layers.0.wo", "layers.0.up"];
    const { plan } = planned(model, request({ all: asked, selected: ["logits"] }), preferring());
    expect(kinds(plan.steps.slice(0, 10))).toEqual([
      "embedding",
      "norm",
      "linear",
      "rope",
      "cache",
      "attention",
      "linear",
      "add",
      "linear",
      "swiglu",
    ]);
    const [cache] = ofKind(plan, "cache");
    expect(cache!.q).toBeUndefined();
    expect(cache!.kRotation).toBeDefined();
    expect(plan.outputs.get("layers.0.up")).toMatchObject({ offset: 96, width: 96 });
  });

  test("is anything without kernels for it", () => {
    const { plan } = planned(model, request({ all: ["layers.0.out"], fillsCaches: false }), preferring([]), stacked);
    expect(kinds(plan.steps)).toEqual([
      "embedding",
      ...["norm", "linear", "rope", "rope", "cache", "attention", "linear", "add"],
      ...["norm", "linear", "swiglu", "linear", "add"],
    ]);
    const [swiglu] = ofKind(plan, "swiglu");
    const { gate, up, y } = swiglu!;
    expect([gate, up].map(({ buffer, offset, width }) => [buffer.id, offset, width])).toEqual([
      [gate.buffer.id, 0, 96],
      [gate.buffer.id, 96, 96],
    ]);
    expect(placesOf(swiglu!)).toEqual([gate, up, y]);
    expect(swiglu).toMatchObject({ label: "swiglu layers.0.swiglu [96]", rows: "all" });
  });

  test("depends on the rows: kernels for selected ones serve the end of the graph", () => {
    const { plan } = planned(model, request({ selected: ["logits"] }), preferring(["linearAdd"], ["normLinear"]));
    expect(ofKind(plan, "norm").map(({ label }) => label)).toEqual([
      "rmsNorm layers.0.attention_norm [64]",
      "rmsNorm layers.0.ffn_norm [64]",
      "rmsNorm layers.1.attention_norm [64]",
    ]);
    expect(ofKind(plan, "add").map(({ rows }) => rows)).toEqual(["selected", "selected"]);
    expect(linear(plan, "layers.1.gate").norm).toBeDefined();
  });
});

describe("additions", () => {
  const graph = buildGraph((g) => {
    const sum = g.add("sum", g.activations("x", 32), g.activations("y", 32));
    return [g.rmsNorm("norm", sum, g.weight("w", [32]), { eps: 1e-5 })];
  });

  test("give the norm of what they compute", () => {
    const { plan } = planned(graph, request({ all: ["sum", "norm"] }), preferring(["addNorm"]));
    expect(kinds(plan.steps)).toEqual(["add"]);
    const [add] = ofKind(plan, "add");
    expect(add!.normed).toEqual({ norm: { weight: "w", eps: 1e-5 }, y: plan.outputs.get("norm") });
  });

  test("do not, where it is wanted of fewer rows", () => {
    const { plan } = planned(graph, request({ all: ["sum"], selected: ["norm"] }), preferring(["addNorm"]));
    expect(plan.steps.map(({ kind, rows }) => `${kind} ${rows}`)).toEqual([
      "add all",
      "gather selected",
      "norm selected",
    ]);
  });
});

describe("linears of one group", () => {
  const kOnly = request({ all: ["layers.0.k"], fillsCaches: false });

  test("are multiplied as a whole where kernels have no part of it", () => {
    const { plan } = planned(model, kOnly, preferring());
    expect(linear(plan, "layers.0.k")).toMatchObject({ firstRow: 0, matrixRows: 128 });
    expect(plan.outputs.get("layers.0.k")).toMatchObject({ offset: 64, width: 32, buffer: { stride: 128 } });
  });

  test("are otherwise multiplied as far as they are needed", () => {
    const { plan } = planned(model, kOnly, preferring(undefined, undefined, { partialGroups: true }), stacked);
    expect(linear(plan, "layers.0.k")).toMatchObject({ firstRow: 64, matrixRows: 32 });
    expect(plan.outputs.get("layers.0.k")).toMatchObject({ offset: 0, width: 32, buffer: { stride: 32 } });
  });

  test("give swiglu in either order where rows do not alternate", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      const up = g.linear("up", x, g.weight("w3", [8, 32]));
      return [g.swiglu("y", g.linear("gate", x, g.weight("w1", [8, 32])), up)];
    });
    const gated = (stored: typeof stacked) => {
      const { plan } = planned(graph, request({ all: ["y"] }), preferring(), stored);
      expect(kinds(plan.steps)).toEqual(["linear"]);
      return ofKind(plan, "linear")[0]!.gated;
    };
    expect(gated(stacked)).toEqual({ gateRow: 8, upRow: 0 });
    expect(gated({ ...stacked, alternates: true })).toEqual({ gateRow: 0, upRow: 8 });
  });
});

describe("converted inputs", () => {
  const conversion = {
    formats: new Set(["q8_0"] as const),
    absorbs: ["rmsNorm", "swiglu"] as const,
    values: 32,
    words: 16,
    extraWords: 4,
  };

  test("are made once for all linears that read them, with the norm or swiglu before", () => {
    const preferences = preferring(["linearAdd", "ropeCache"], undefined, { conversion });
    const { plan } = planned(model, request({ selected: ["logits"] }), preferences, stacked);
    expect(kinds(plan.steps.slice(0, 10))).toEqual([
      "embedding",
      ...["convert", "linear", "cache", "attention", "convert", "linear"],
      ...["convert", "linear", "convert"],
    ]);
    const [q, attention, gate, down] = ofKind(plan, "convert");
    expect(q).toMatchObject({ norm: { weight: "layers.0.attention_norm.weight" }, y: { width: 64 } });
    expect(q!.y.buffer.stride).toBe(36);
    expect([attention!.norm, attention!.up]).toEqual([undefined, undefined]);
    expect(gate!.norm).toBeDefined();
    expect(down!.up).toMatchObject({ offset: 96, width: 96 });
    expect(linear(plan, "layers.0.down")).toMatchObject({ converted: true, norm: undefined, x: down!.y });
  });

  test("are made for all rows and for selected ones apart", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      return [g.linear("a", x, g.weight("wa", [6, 32])), g.linear("b", x, g.weight("wb", [8, 32]))];
    });
    const preferences = preferring([], undefined, { conversion });
    const { plan } = planned(graph, request({ all: ["a"], selected: ["b"] }), preferences, stacked);
    expect(plan.steps.map(({ kind, rows }) => `${kind} ${rows}`)).toEqual([
      ...["convert all", "linear all"],
      ...["gather selected", "convert selected", "linear selected"],
    ]);
    expect(linear(plan, "b").x.buffer.rows).toBe("selected");
  });

  test("leave a norm alone that something else reads, too", () => {
    const preferences = preferring([], undefined, {
      conversion: { ...conversion, formats: new Set(["q4_0"] as const) },
    });
    const { plan } = planned(model, request({ selected: ["logits"] }), preferences, stacked);
    expect(ofKind(plan, "convert")).toEqual([]);
    expect(ofKind(plan, "norm")).toHaveLength(5);
  });
});

describe("graphs of a single operation", () => {
  test("add their input to itself, in the rows that are selected", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 6);
      return [g.add("y", x, x)];
    });
    const { plan } = planned(graph, request({ selected: ["y"] }), preferring());
    expect(kinds(plan.steps)).toEqual(["gather", "add"]);
    const x = plan.inputs.get("x")!;
    expect(x).toMatchObject({ width: 6, buffer: { stride: 8, rows: "all" } });
    expect(plan.lifetimes[x.buffer.id]).toEqual({ first: 0, last: 0 });
    const [add] = ofKind(plan, "add");
    expect(add!.a).toBe(add!.b);
  });

  test("do not look up two kinds of tokens", () => {
    const graph = buildGraph((g) => {
      const table = g.weight("table", [8, 4]);
      return [g.add("y", g.embedding("a", g.tokens("s"), table), g.embedding("b", g.tokens("t"), table))];
    });
    const two = () => planned(graph, request({ all: ["y"] }), preferring());
    expect(two).toThrow(/"s" and "t" are both inputs of tokens/);
    expect(planned(graph, request({ all: ["b"] }), preferring()).plan.tokens).toBe("t");
  });

  test("add what comes later by a step of its own", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      const y = g.linear("y", x, g.weight("w", [32, 32]));
      return [g.add("sum", y, g.swiglu("later", x, x))];
    });
    const { plan } = planned(graph, request({ all: ["sum"] }), preferring());
    expect(kinds(plan.steps)).toEqual(["linear", "swiglu", "add"]);
  });

  test("have a table with columns for each rotation, one for those that are alike", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      const turned = (name: string, headDim: number, theta: number) =>
        g.rope(name, x, { headDim, theta, scaling: { type: "none" } });
      return [turned("a", 16, 1e4), turned("b", 8, 1e4), turned("c", 16, 1e4), turned("d", 16, 1e6)];
    });
    const { plan } = planned(graph, request({ all: ["a", "b", "c", "d"] }), preferring());
    expect(ofKind(plan, "rope").map(({ rotation }) => rotation.offset)).toEqual([0, 8, 0, 12]);
    expect(plan.rotationStride).toBe(20);
  });

  test("rotate before attention where queries are keys", () => {
    const graph = buildGraph((g) => {
      const x = g.rope("r", g.activations("x", 32), { headDim: 16, theta: 1e4, scaling: { type: "none" } });
      return [g.attention("y", x, x, g.activations("v", 32), { heads: 2, kvHeads: 2, headDim: 16 })];
    });
    const { plan } = planned(graph, request({ all: ["y"] }), preferring());
    expect(kinds(plan.steps)).toEqual(["rope", "cache", "attention"]);
  });
});
