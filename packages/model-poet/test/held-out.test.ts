import { reference } from "@polyllama/backend-reference";
import { llamaGraph } from "@polyllama/core";
import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import { type Checkpoint, Llama, openCheckpoint } from "polyllama";
import { describe, expect, test } from "vitest";
import { scoreTexts } from "../scripts/held-out/score.ts";
import { windowsOf } from "../scripts/held-out/windows.ts";

describe("windows", () => {
  test.each([1, 2, 7, 8, 9, 12, 13, 40])("predict each of %i tokens once, from half a window or more", (rows) => {
    const ids = Array.from({ length: rows + 1 }, (_, at) => at);
    const length = 8;
    const predicted: number[] = [];
    for (const { tokens, targets, weights, rows: counts } of windowsOf(ids, length)) {
      expect(tokens.length).toBeLessThanOrEqual(length);
      expect(counts).toEqual([tokens.length]);
      for (const [row, target] of targets.entries()) {
        expect(weights[row]).toBe(target < 0 ? 0 : 1);
        if (target < 0) continue;
        expect(target).toBe((tokens[row] ?? Number.NaN) + 1); // ids count up
        expect(row >= length / 2 || tokens[0] === 0).toBe(true);
        predicted.push(target);
      }
    }
    expect(predicted).toEqual(ids.slice(1));
  });
});

const sizes = "layers=1&dim=32&heads=2&kv_heads=1&hidden=48&vocab=280&context=16&format=f32";

async function small(): Promise<Checkpoint> {
  const model = await openCheckpoint(`synthetic://tinyllama-1.1b?seed=3&${sizes}`);
  return { ...model, tokenizer: tinyTokenizer() };
}

describe("a model's score", () => {
  test("is the sum of its negative log-probabilities", async () => {
    await using device = reference();
    const model = await small();
    const text = "hello world";
    const score = await scoreTexts(device, model, [text]);
    const ids = tinyTokenizer().encode(text, { bos: true, eos: false });
    await using llama = await Llama.load(model, { backend: device });
    const [logits] = await llama.values(ids, [llamaGraph(model.config).outputs[0] ?? ""]); // [N, V]
    const vocabulary = model.config.vocabSize;
    const loss = ids.slice(1).reduce((sum, id, row) => {
      const values = [...(logits?.data ?? [])].slice(row * vocabulary, (row + 1) * vocabulary);
      return sum + Math.log(values.reduce((all, value) => all + Math.exp(value), 0)) - (values[id] ?? Number.NaN);
    }, 0);
    expect(score).toEqual({ documents: 1, characters: 11, tokens: ids.length - 1, loss: expect.closeTo(loss, 9) });
  });

  test("goes over texts that are longer than its context", async () => {
    await using device = reference();
    const { tokens, loss } = await scoreTexts(device, await small(), ["hello world hello world ".repeat(8)]);
    expect(tokens).toBeGreaterThan(32);
    expect(loss / tokens).toBeGreaterThan(1);
  });
});
