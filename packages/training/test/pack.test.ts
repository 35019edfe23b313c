import { reference } from "@polyllama/backend-reference";
import { type RealArray, withLogProbabilities } from "@polyllama/core";
import { type LoadedGraph, loadGraph } from "@polyllama/core/device";
import { uniform } from "@polyllama/test-support/random";
import { tinyModel } from "@polyllama/test-support/tiny-model";
import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Example,
  encodeDocument,
  languageLoss,
  type PackedSequence,
  packExamples,
  packedStep,
  totalWeight,
} from "../src/index.ts";

const example = (...ids: number[]): Example => ({ ids, counts: ids.map(() => 1) });
const pack = (examples: readonly Example[], length: number, manner?: "split" | "whole"): readonly PackedSequence[] => [
  ...packExamples(examples, { length, ...(manner && { examples: manner }) }),
];

describe("packing", () => {
  test("fills sequences; what goes beyond the end continues in the next one", () => {
    const packed = pack([example(1, 5, 6, 2), example(1, 7, 8, 9, 2)], 4);
    expect(packed).toEqual([
      {
        tokens: Int32Array.of(1, 5, 6, 1),
        targets: Int32Array.of(5, 6, 2, 7),
        weights: Float64Array.of(1, 1, 1, 1),
        rows: [3, 1],
      },
      {
        tokens: Int32Array.of(7, 8, 9),
        targets: Int32Array.of(8, 9, 2),
        weights: Float64Array.of(1, 1, 1),
        rows: [3],
      },
    ]);
  });

  test("whole examples begin a new sequence where there is no room for them", () => {
    const packed = pack([example(1, 5, 2), example(1, 6, 7, 2), example(1, 2)], 4, "whole");
    expect(packed.map(({ tokens, rows }) => [[...tokens], rows])).toEqual([
      [[1, 5], [2]],
      [
        [1, 6, 7, 1],
        [3, 1],
      ],
    ]);
    expect(() => pack([example(1, 2), example(1, 5, 6, 7, 8, 2)], 4, "whole")).toThrow(
      expect.objectContaining({
        code: "ERR_CONTEXT",
        needed: 5,
        available: 4,
        message: expect.stringMatching("example 1"),
      }),
    );
  });

  test("a target that does not count is left out, and others keep their weights", () => {
    const [packed] = pack([{ ids: [1, 5, 6, 2], counts: [9, 0, 0.5, 2] }], 8);
    expect(packed).toMatchObject({ targets: Int32Array.of(-1, 6, 2), weights: Float64Array.of(0, 0.5, 2) });
    expect(totalWeight([packed!, packed!])).toBe(5);
  });

  test("loses and adds nothing, in any lengths", () => {
    const lengths = fc.array(fc.integer({ min: 2, max: 12 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 15 }), fc.boolean(), (sizes, length, isWhole) => {
        const examples = sizes.map((size, n) => example(...Array.from({ length: size }, (_, i) => 100 * n + i)));
        const longEnough = isWhole ? Math.max(length, 11) : length;
        const packed = pack(examples, longEnough, isWhole ? "whole" : "split");
        const pairs = packed.flatMap(({ tokens, targets }) => [...tokens].map((token, row) => [token, targets[row]]));
        expect(pairs).toEqual(examples.flatMap(({ ids }) => ids.slice(1).map((id, i) => [ids[i], id])));
        for (const { tokens, rows } of packed) expect(rows.reduce((a, b) => a + b)).toBe(tokens.length);
        for (const { tokens } of packed) expect(tokens.length).toBeLessThanOrEqual(longEnough);
        if (isWhole) expect(packed.flatMap(({ rows }) => rows)).toEqual(sizes.map((size) => size - 1));
        else for (const { tokens } of packed.slice(0, -1)) expect(tokens).toHaveLength(length);
      }),
    );
  });

  test.each([
    [{ ids: [1], counts: [1] }, "examples[1].ids"],
    [{ ids: [1, 2], counts: [1] }, "examples[1].counts"],
    [{ ids: [1, 2], counts: [1, -1] }, "examples[1].counts"],
    [{ ids: [1, 2], counts: [1, Number.NaN] }, "examples[1].counts"],
  ])("%j is refused by its place", (wrong, name) => {
    expect(() => pack([example(1, 2), wrong], 4)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", option: name }),
    );
  });

  test("a document is its text from BOS to EOS, in which names of control tokens are text", () => {
    const tokenizer = tinyTokenizer();
    const { ids, counts } = encodeDocument(tokenizer, "hello</s> world");
    expect([ids[0], ids.at(-1)]).toEqual([tokenizer.bos, tokenizer.eos]);
    expect(ids.slice(1, -1).some((id) => tokenizer.isControl(id))).toBe(false);
    expect(tokenizer.decode(ids)).toBe("hello</s> world");
    expect(counts).toEqual(ids.map(() => 1));
  });
});

describe("the loss of a document on the reference", () => {
  const { config, graph, source } = tinyModel();
  const next = uniform(7);
  const documents = [9, 4, 17, 2, 11].map((size) => {
    return example(...Array.from({ length: size }, () => Math.floor(next() * config.vocabSize)));
  });

  async function logProbabilities(loaded: LoadedGraph, packed: readonly PackedSequence[]): Promise<RealArray> {
    const [values] = await loaded.run(packedStep(packed), loaded.graph.outputs);
    return values!.data; // the graph's one output
  }

  test("is the same alone and packed, to the last bit", async () => {
    await using loaded = await loadGraph(reference(), withLogProbabilities(graph), source);
    const packed = pack(documents, 20, "whole");
    expect(packed.some(({ rows }) => rows.length > 1)).toBe(true);
    const together = await logProbabilities(loaded, packed);
    let first = 0;
    for (const document of documents) {
      const alone = pack([document], 20);
      const rows = document.ids.length - 1;
      const expected = await logProbabilities(loaded, alone);
      expect(expected).toHaveLength(rows);
      const found = together.slice(first, first + rows);
      expect(found).toEqual(expected);
      expect(languageLoss(found, alone, rows)).toEqual(languageLoss(expected, alone, rows));
      first += rows;
    }
    expect(together).toHaveLength(first);
    // Where documents do see each other, the later ones have other probabilities.
    const [{ tokens, targets, rows }] = packed as readonly [PackedSequence];
    const [values] = await loaded.run({ inputs: { tokens, targets } }, loaded.graph.outputs);
    expect(values!.data.slice(0, rows[0])).toEqual(together.slice(0, rows[0]));
    expect(values!.data.slice(rows[0], tokens.length)).not.toEqual(together.slice(rows[0], tokens.length));
  });

  test("of a batch is the weighted mean of its documents'", () => {
    const packed = pack([example(1, 5, 2), { ids: [1, 6, 2], counts: [1, 0, 3] }], 8);
    const found = languageLoss(Float64Array.of(-1, -2, -1000, -4), packed, totalWeight(packed));
    expect(found).toEqual({ loss: (1 + 2 + 3 * 4) / 5, cotangent: Float64Array.of(-0.2, -0.2, -0, -0.6) });
  });
});
