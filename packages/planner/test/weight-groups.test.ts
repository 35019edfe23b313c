import { buildGraph, type GraphBuilder, llamaGraph, llamaLayerGraph } from "@polyllama/core";
import { assertPlaced, assertStored, groupWeights, type StoredWeights } from "@polyllama/planner";
import { describe, expect, test, vi } from "vitest";
import { alternating, config, infosOf, model, stacked } from "./support.ts";

/** Names of each group's members, the layers' own part alone. */
function names({ groups }: StoredWeights): readonly string[] {
  return groups.map(({ members }) => members.map(({ name }) => name.replace(".weight", "")).join(" "));
}

describe("weights stored together", () => {
  test("are those of linears over the same value, rows below rows", () => {
    const stored = groupWeights([model], infosOf([model]), stacked);
    expect(names(stored).slice(0, 5)).toEqual([
      "tok_embeddings",
      "layers.0.attention.wq layers.0.attention.wk layers.0.attention.wv",
      "layers.0.attention.wo",
      "layers.0.feed_forward.w1 layers.0.feed_forward.w3",
      "layers.0.feed_forward.w2",
    ]);
    const { group, firstRow } = stored.places.get("layers.0.attention.wv.weight")!;
    expect(group).toMatchObject({ format: "q8_0", rows: 128, columns: 64, alternating: 0 });
    expect(firstRow).toBe(96);
    expect(stored.vectors.map(({ name }) => name).slice(0, 2)).toEqual([
      "layers.0.attention_norm.weight",
      "layers.0.ffn_norm.weight",
    ]);
  });

  test("alternate where they are gate and up, the gate first, wherever it stands in the graph", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      const up = g.linear("up", x, g.weight("w3", [8, 32]));
      return [g.swiglu("y", g.linear("gate", x, g.weight("w1", [8, 32])), up)];
    });
    const { groups, places } = groupWeights([graph], infosOf([graph]), alternating);
    expect(groups).toMatchObject([{ rows: 16, alternating: 8 }]);
    expect([places.get("w1")!.firstRow, places.get("w3")!.firstRow]).toEqual([0, 8]);
    expect(groupWeights([graph], infosOf([graph]), stacked).groups).toMatchObject([{ rows: 16, alternating: 0 }]);
  });

  test("have one format", () => {
    const infos = infosOf([model], { "layers.0.attention.wv.weight": "f16" });
    expect(names(groupWeights([model], infos, stacked)).slice(1, 3)).toEqual([
      "layers.0.attention.wq layers.0.attention.wk",
      "layers.0.attention.wv",
    ]);
  });

  test("are used once each: a tied table is a matrix of its own", () => {
    const tied = llamaGraph({ ...config, tiedEmbeddings: true });
    const stored = groupWeights([tied], infosOf([tied]), stacked);
    expect(names(stored).filter((name) => name.includes("tok_embeddings"))).toEqual(["tok_embeddings"]);
    const twice = buildGraph((g) => {
      const [x, shared] = [g.activations("x", 32), g.weight("shared", [32, 32])];
      const other = g.linear("other", x, g.weight("w", [32, 32]));
      return [g.linear("y", g.linear("once", x, shared), shared), other];
    });
    expect(names(groupWeights([twice], infosOf([twice]), stacked))).toEqual(["w", "shared"]);
  });

  test("end on whole vectors", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      return [6, 8, 8].map((rows, i) => g.linear(`y${i}`, x, g.weight(`w${i}`, [rows, 32])));
    });
    expect(names(groupWeights([graph], infosOf([graph]), stacked))).toEqual(["w0", "w1 w2"]);
  });

  test("leave out tables that the host looks up, unless a linear has them too", () => {
    const [tied, untied] = [true, false].map((tiedEmbeddings) => llamaGraph({ ...config, tiedEmbeddings }));
    const table = (graph: typeof model): boolean =>
      groupWeights([graph], infosOf([graph]), { ...stacked, hostEmbeddings: true }).places.has("tok_embeddings.weight");
    expect([table(tied!), table(untied!)]).toEqual([true, false]);
  });

  test("are stored for all graphs: together only where each that has one has all, with the same value", () => {
    const layer = llamaLayerGraph(config, 0);
    const both = groupWeights([model, layer], infosOf([model, layer]), alternating);
    expect(names(both)).toEqual(names(groupWeights([model], infosOf([model]), alternating)));
    const queries = buildGraph((g) => {
      return [g.linear("q", g.activations("x", 64), g.weight("layers.0.attention.wq.weight", [64, 64]))];
    });
    expect(names(groupWeights([model, queries], infosOf([model]), alternating)).slice(1, 3)).toEqual([
      "layers.0.attention.wq",
      "layers.0.attention.wk layers.0.attention.wv",
    ]);
  });
});

describe("a graph that stored weights do not serve", () => {
  const preferences = { ...stacked, rowMultiple: 1 };
  const x = (g: GraphBuilder) => g.activations("x", 32);
  const both = buildGraph((g) => {
    const input = x(g);
    return [g.linear("q", input, g.weight("wq", [32, 32])), g.linear("k", input, g.weight("wk", [16, 32]))];
  });
  const stored = groupWeights([both], infosOf([both]), preferences);

  test("is refused where a weight is missing, stands with others, or is multiplied with something else", () => {
    const other = buildGraph((g) => [g.linear("v", x(g), g.weight("wv", [8, 32]))]);
    const part = buildGraph((g) => [g.linear("q", x(g), g.weight("wq", [32, 32]))]);
    const chain = buildGraph((g) => {
      const q = g.linear("q", x(g), g.weight("wq", [32, 32]));
      return [g.linear("k", q, g.weight("wk", [16, 32]))];
    });
    const norm = buildGraph((g) => [g.rmsNorm("y", x(g), g.weight("norm", [32]), { eps: 1e-5 })]);
    for (const [graph, message] of [
      [other, /"wv" is not among them/],
      [norm, /"norm" is not among them/],
      [part, /"wq" is stored with others/],
      [chain, /"wq" is stored with others/],
    ] as const) {
      expect(() => assertStored(graph, stored, preferences)).toThrow(
        expect.objectContaining({ code: "ERR_PARAMETERS" }),
      );
      expect(() => assertStored(graph, stored, preferences)).toThrow(message);
    }
    expect(() => assertStored(both, stored, preferences)).not.toThrow();
  });

  test("is refused by op and weight where that is not stored for the op", () => {
    const serves = vi.fn((_: unknown, as: "matrix" | "table") => as === "matrix");
    expect(() => assertPlaced(both, stored, serves)).not.toThrow();
    expect(serves.mock.calls).toEqual([...both.weights.keys()].map(() => [stored.groups[0], "matrix"]));
    const table = buildGraph((g) => [g.embedding("y", g.tokens("t"), g.weight("wq", [32, 32]))]);
    const norm = buildGraph((g) => [g.rmsNorm("y", x(g), g.weight("norm", [32]), { eps: 1e-5 })]);
    const other = buildGraph((g) => [g.linear("v", x(g), g.weight("wv", [8, 32]))]);
    for (const [graph, what] of [
      [table, 'embedding with "wq"'],
      [norm, 'rmsNorm with "norm"'],
      [other, 'linear with "wv"'],
    ] as const) {
      const refused = { code: "ERR_PARAMETERS", message: expect.stringContaining(`not loaded for ${what}`) };
      expect(() => assertPlaced(graph, stored, serves)).toThrow(expect.objectContaining(refused));
    }
  });

  test("is served where it leaves tables to the host", () => {
    const table = buildGraph((g) => [g.embedding("y", g.tokens("t"), g.weight("table", [8, 32]))]);
    expect(() => assertStored(table, stored, preferences)).toThrow(/"table" is not among them/);
    expect(() => assertStored(table, stored, { ...preferences, hostEmbeddings: true })).not.toThrow();
  });
});
