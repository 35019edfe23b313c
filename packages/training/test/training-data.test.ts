// What a run begins with and reads: the same of a seed everywhere, from any place on.

import { reference } from "@polyllama/backend-reference";
import { llamaGraph } from "@polyllama/core";
import { tinyModel } from "@polyllama/test-support/tiny-model";
import { describe, expect, test } from "vitest";
import {
  createTrainer,
  type Example,
  initialWeights,
  type PlacedBatch,
  packExamples,
  shuffledExamples,
} from "../src/index.ts";
import { shuffled } from "../src/random.ts";

const examples = Array.from({ length: 10 }, (_, n): Example => {
  const ids = Array.from({ length: 3 + (n % 4) }, (_, i) => 100 * n + i);
  return { ids, counts: ids.map(() => 1) };
});
const options = { length: 5, sequences: 3, microBatch: 2, seed: 4, epochs: 2 };
const tokensOf = ({ batch }: PlacedBatch): readonly number[] => batch.flat().flatMap(({ tokens }) => [...tokens]);
const all = (
  from: Parameters<ReturnType<typeof shuffledExamples>["batches"]>[0],
  changes = {},
): readonly PlacedBatch[] => [
  ...(shuffledExamples(examples, { ...options, ...changes }).batches(from) as Iterable<PlacedBatch>), // from memory
];

describe("shuffled examples", () => {
  test("have every row once in an epoch, and another order in the next", () => {
    const batches = all(undefined);
    const expected = examples.flatMap(({ ids }) => ids.slice(0, -1)).sort((a, b) => a - b);
    const epochs = [0, 1].map((epoch) => {
      return batches.filter(({ position }) => (position as { epoch: number }).epoch === epoch).flatMap(tokensOf);
    });
    for (const tokens of epochs) expect([...tokens].sort((a, b) => a - b)).toEqual(expected);
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(batches.length).toBe(2 * shuffledExamples(examples, options).batchesInEpoch);
  });

  test("go on at any place, and after JSON, with what comes behind it", () => {
    const batches = all(undefined);
    for (const [index, { position }] of batches.entries()) {
      expect(all(JSON.parse(JSON.stringify(position)))).toEqual(batches.slice(index + 1));
    }
  });

  test("come in micro-batches, in another order for another seed, and have fingerprints that say so", () => {
    const [first] = all(undefined);
    expect(first!.batch.map(({ length }) => length)).toEqual([2, 1]); // there is one
    expect(all(undefined, { seed: 5 }).map(tokensOf)).not.toEqual(all(undefined).map(tokensOf));
    const fingerprint = (changes: object): string => shuffledExamples(examples, { ...options, ...changes }).fingerprint;
    expect(fingerprint({ microBatch: 1 })).toBe(fingerprint({})); // the same batches
    for (const changes of [{ seed: 5 }, { length: 6 }, { sequences: 2 }]) {
      expect(fingerprint(changes)).not.toBe(fingerprint({}));
    }
  });

  test("are refused where there are none, or a place is none", () => {
    expect(() => shuffledExamples([], options)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", option: "examples" }),
    );
    expect(() => all("behind")).toThrow(expect.objectContaining({ code: "ERR_OPTION", option: "position" }));
  });
});

test("a shuffle is a permutation, and each number comes to each place", () => {
  const seen = Array.from({ length: 4 }, () => new Set<number>());
  for (let seed = 0; seed < 100; seed++) {
    const order = shuffled(4, seed);
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    for (const [place, number] of order.entries()) seen[place]!.add(number); // four places
  }
  for (const numbers of seen) expect(numbers.size).toBe(4);
});

test("initial weights are those of the seed, norms are one, and residual matrices smaller", async () => {
  const { config } = tinyModel();
  const floats = async (seed: number, name: string): Promise<Float32Array> => {
    return new Float32Array((await initialWeights(config, seed).read(name)).buffer);
  };
  const deviation = async (name: string): Promise<number> => {
    const values = await floats(1, name);
    return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
  };
  expect([...initialWeights(config, 1).weights.keys()]).toEqual(llamaGraph(config).weights.map(({ name }) => name));
  expect(await floats(1, "norm.weight")).toEqual(new Float32Array(config.dim).fill(1));
  expect(await floats(1, "output.weight")).toEqual(await floats(1, "output.weight"));
  expect(await floats(2, "output.weight")).not.toEqual(await floats(1, "output.weight"));
  // The deviation of n normal numbers is known to a part of 1 / sqrt(2 n), and hardly ever off by five of these.
  const known = 0.02;
  expect(Math.abs((await deviation("output.weight")) - known)).toBeLessThan((5 * known) / Math.sqrt(2 * 8384));
  expect(await deviation("layers.1.attention.wo.weight")).toBeLessThan(
    0.6 * (await deviation("layers.1.attention.wq.weight")),
  );
  const rows = { rows: { first: 3, count: 2 } };
  const whole = await initialWeights(config, 1).read("output.weight");
  const part = await initialWeights(config, 1).read("output.weight", rows);
  expect(part).toEqual(whole.slice(4 * 3 * config.dim, 4 * 5 * config.dim));
});

describe("a trainer of what another one gave", () => {
  const { graph, source } = tinyModel({ vocabSize: 19, layers: 1 });
  const batch = [[...packExamples([{ ids: [1, 5, 9, 4, 2], counts: [1, 1, 1, 1, 1] }], { length: 8 })]];

  test("goes on to the last bit, with its steps and moments", async () => {
    await using device = reference();
    await using whole = await createTrainer(device, graph, source);
    await using first = await createTrainer(device, graph, source);
    for (let step = 0; step < 3; step++) {
      await whole.step(batch, 0.01);
      await first.step(batch, 0.01);
    }
    await using second = await createTrainer(device, graph, first.export(), { steps: first.steps });
    expect(second.steps).toBe(3);
    for (let step = 0; step < 3; step++) expect(await second.step(batch, 0.01)).toEqual(await whole.step(batch, 0.01));
  });

  test("evaluates the loss that the next step finds, and changes nothing", async () => {
    await using device = reference();
    await using trainer = await createTrainer(device, graph, source);
    const loss = await trainer.evaluate(batch);
    expect(await trainer.evaluate(batch)).toBe(loss);
    expect([trainer.steps, (await trainer.step(batch, 0.01)).loss]).toEqual([0, loss]);
    expect(await trainer.evaluate(batch)).toBeLessThan(loss);
    await expect(trainer.evaluate([])).rejects.toMatchObject({ code: "ERR_OPTION", option: "batch" });
  });
});
