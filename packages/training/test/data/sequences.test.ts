import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMixture, type Drawn } from "../../src/data/mixture.ts";
import { permutation } from "../../src/data/permutation.ts";
import {
  type Batch,
  createSequences,
  type DocumentSource,
  type Example,
  exampleSource,
  type MixturePart,
  mixtureBatches,
  type PackedSequence,
  packExamples,
  type Sequences,
  type SequencesPosition,
} from "../../src/index.ts";

/** Documents of 2 tokens and more, each token telling its document. */
const source = (documents: number, first: number): DocumentSource =>
  exampleSource(
    Array.from({ length: documents }, (_, document) => {
      const ids = Array.from({ length: 2 + ((document * 7) % 11) }, (_, at) => 1000 * (first + document) + at);
      return { ids, counts: ids.map((_, at) => (at % 4 === 3 ? 0 : 1)) };
    }),
  );
const parts: readonly MixturePart[] = [
  { name: "books", source: source(5, 0), weight: 3 },
  { name: "poems", source: source(40, 100), weight: 1 },
];
const saved = (position: SequencesPosition): SequencesPosition => JSON.parse(JSON.stringify(position));

describe("permutations", () => {
  test("hold each number once, and differ by seed", () => {
    for (const size of [1, 2, 3, 5, 64, 65, 1000]) {
      const orders = [1, 2].map((seed) => Array.from({ length: size }, (_, at) => permutation(size, seed)(at)));
      for (const order of orders) expect(new Set(order)).toEqual(new Set(Array.from({ length: size }, (_, at) => at)));
      if (size > 5) expect(orders[0]).not.toEqual(orders[1]);
    }
  });

  test("are the same everywhere", () => {
    const place = permutation(2 ** 32, 7);
    expect([0, 1, 2 ** 32 - 1].map(place)).toEqual([2247077928, 2533742901, 2839547050]);
    expect(Array.from({ length: 8 }, (_, at) => permutation(8, 3)(at))).toEqual([2, 7, 1, 0, 5, 6, 4, 3]);
  });

  test("leave no trace of the order: neighbours end up as far apart as chance has it", () => {
    const size = 10_000;
    const place = permutation(size, 1);
    const order = Array.from({ length: size }, (_, at) => place(at));
    const distances = order.slice(1).map((number, at) => Math.abs(number - order[at]!));
    const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    // Of two numbers drawn by chance: mean n / 3, deviation n / sqrt(18)
    expect(Math.abs(mean - size / 3)).toBeLessThan((4 * size) / Math.sqrt(18 * size));
    const fixed = order.filter((number, at) => number === at).length;
    expect(fixed).toBeLessThan(8);
  });

  test("of nothing are refused", () => {
    expect(() => permutation(0, 1)).toThrow("an integer from 1 to 2^32");
  });
});

describe("mixtures", () => {
  const draw = (mixture: ReturnType<typeof createMixture>, count: number): (readonly [number, number])[] => {
    const drawn: Drawn[] = mixture.parts.map(() => ({ documents: 0, tokens: 0 }));
    return Array.from({ length: count }, () => {
      const part = mixture.nextPart(drawn);
      const document = mixture.document(part, drawn[part]!.documents);
      const { ids } = mixture.parts[part]!.source.read(document) as Example; // an example source reads at once
      drawn[part] = { documents: drawn[part]!.documents + 1, tokens: drawn[part]!.tokens + ids.length };
      return [part, document];
    });
  };

  test("each epoch has every document of a source once, in another order", () => {
    const books = draw(createMixture(parts, 1), 500)
      .filter(([part]) => part === 0)
      .map(([, document]) => document);
    const epochs = Array.from({ length: 10 }, (_, epoch) => books.slice(5 * epoch, 5 * epoch + 5));
    for (const epoch of epochs) expect([...epoch].sort()).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(epochs.map(String)).size).toBeGreaterThan(5);
  });

  test("weights are shares of the tokens at any time", async () => {
    const sequences = createSequences(parts, { length: 50, seed: 1 });
    for (let step = 0; step < 20; step++) {
      await sequences.next(1);
      const { books, poems } = sequences.position.drawn as Record<string, Drawn>;
      const longest = 12; // of a document
      expect(Math.abs(books!.tokens - 3 * poems!.tokens)).toBeLessThanOrEqual(3 * longest);
    }
  });

  test("without weights, all sources are gone through alike", async () => {
    const sequences = createSequences(
      parts.map(({ name, source }) => ({ name, source })),
      { length: 50, seed: 1 },
    );
    await sequences.next(30);
    const { books, poems } = sequences.epochs;
    expect(poems).toBeGreaterThan(3);
    expect(Math.abs(books! - poems!)).toBeLessThan(12 / parts[0]!.source.tokens);
  });

  test("wrong parts are refused", () => {
    const { source } = parts[0]!;
    expect(() => createMixture([], 1)).toThrow("parts must be one source or more");
    expect(() =>
      createMixture(
        [
          { name: "a", source },
          { name: "a", source },
        ],
        1,
      ),
    ).toThrow("parts[1].name");
    expect(() => createMixture([{ name: "a", source: exampleSource([]) }], 1)).toThrow("parts[0].source");
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => createMixture([{ name: "a", source, weight }], 1)).toThrow(
        "parts[0].weight must be a number above 0",
      );
    }
  });
});

describe("sequences", () => {
  const take = (sequences: Sequences, count: number): Promise<readonly PackedSequence[]> => sequences.next(count);

  test.each(["split", "whole"] as const)(
    "%s: are those that packExamples makes of the documents drawn",
    async (examples) => {
      const length = 17;
      const mixture = createMixture(parts, 5);
      const inOrder = (function* (): Generator<Example> {
        const drawn: Drawn[] = mixture.parts.map(() => ({ documents: 0, tokens: 0 }));
        for (;;) {
          const part = mixture.nextPart(drawn);
          const { documents, tokens } = drawn[part]!;
          const example = mixture.parts[part]!.source.read(mixture.document(part, documents)) as Example; // in memory
          drawn[part] = { documents: documents + 1, tokens: tokens + example.ids.length };
          yield example;
        }
      })();
      const expected: PackedSequence[] = [];
      for (const packed of packExamples(inOrder, { length, examples })) if (expected.push(packed) === 40) break;
      expect(await take(createSequences(parts, { length, examples, seed: 5 }), 40)).toEqual(expected);
    },
  );

  test.each(["split", "whole"] as const)("%s: go on from any position as if they had not stopped", async (examples) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 11, max: 40 }),
        fc.nat(0xffffffff),
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }),
        async (length, seed, stops) => {
          const options = { length, seed, examples };
          const total = stops.reduce((sum, count) => sum + count, 3);
          const through = createSequences(parts, options);
          const expected = await through.next(total);
          const resumed: PackedSequence[] = [];
          let position: SequencesPosition | undefined;
          for (const count of [...stops, 3]) {
            const sequences = createSequences(parts, { ...options, ...(position && { position }) });
            resumed.push(...(await sequences.next(count)));
            position = saved(sequences.position);
          }
          expect(resumed).toEqual(expected);
          expect(position).toEqual(saved(through.position));
          expect(through.position.sequences).toBe(total);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("differ by seed", async () => {
    const [a, b] = await Promise.all([1, 2].map((seed) => createSequences(parts, { length: 20, seed }).next(5)));
    expect(a).not.toEqual(b);
  });

  test("a position of other sources, weights or options is refused", async () => {
    const sequences = createSequences(parts, { length: 20, seed: 1 });
    await sequences.next(3);
    const position = saved(sequences.position);
    const resume = (given: readonly MixturePart[], length: number, seed: number, examples: "split" | "whole") => () =>
      createSequences(given, { length, seed, examples, position });
    expect(resume(parts, 20, 1, "split")).not.toThrow();
    const others = [
      resume(parts, 21, 1, "split"),
      resume(parts, 20, 2, "split"),
      resume(parts, 20, 1, "whole"),
      resume(parts.slice(1), 20, 1, "split"),
      resume([{ ...parts[0]!, weight: 2 }, parts[1]!], 20, 1, "split"),
      resume([{ ...parts[0]!, source: source(6, 0) }, parts[1]!], 20, 1, "split"),
    ];
    for (const other of others) expect(other).toThrow("The position is one of other sources, weights or options");
  });

  test("a damaged position is refused", async () => {
    const sequences = createSequences(parts, { length: 20, seed: 1 });
    await sequences.next(3);
    const { position } = sequences;
    const damages: readonly object[] = [
      { drawn: {} },
      { drawn: { ...position.drawn, books: { documents: -1, tokens: 3 } } },
      { rest: { source: "other", row: 1 } },
      { rest: { source: "books", row: 0.5 } },
      { rest: undefined },
      { sequences: "3" },
    ];
    for (const damage of damages) {
      const damaged = { ...position, ...damage };
      expect(() => createSequences(parts, { length: 20, seed: 1, position: damaged })).toThrow(
        expect.objectContaining({ code: "ERR_OPTION", option: "position" }),
      );
    }
  });

  test("after an error of a source, the stream is where it was", async () => {
    const good = source(5, 0);
    let failing = false;
    const flaky: DocumentSource = {
      ...good,
      async read(document) {
        if (failing) throw new Error("disk is gone");
        return good.read(document);
      },
    };
    const sequences = createSequences([{ name: "a", source: flaky }], { length: 10, seed: 1 });
    await sequences.next(2);
    const before = sequences.position;
    failing = true;
    await expect(sequences.next(2)).rejects.toThrow("disk is gone");
    expect(sequences.position).toEqual(before);
    failing = false;
    const whole = createSequences([{ name: "a", source: good }], { length: 10, seed: 1 });
    expect([...(await whole.next(4))].slice(2)).toEqual(await sequences.next(2));
  });

  test("one call at a time", async () => {
    const sequences = createSequences(parts, { length: 20, seed: 1 });
    const first = sequences.next(1);
    await expect(sequences.next(1)).rejects.toMatchObject({ code: "ERR_BUSY" });
    expect(await first).toHaveLength(1);
  });

  test("what cannot be packed is refused by name", async () => {
    const one: DocumentSource = { documents: 1, tokens: 1, read: () => ({ ids: [1] }) };
    await expect(createSequences([{ name: "a", source: one }], { length: 4, seed: 1 }).next(1)).rejects.toThrow(
      "Document 0 of a has nothing to predict",
    );
    const long = exampleSource([{ ids: [1, 2, 3, 4, 5, 6], counts: [1, 1, 1, 1, 1, 1] }]);
    const whole = createSequences([{ name: "b", source: long }], { length: 4, seed: 1, examples: "whole" });
    await expect(whole.next(1)).rejects.toMatchObject({ code: "ERR_CONTEXT", needed: 5, available: 4 });
  });

  test("documents without counts count with all tokens", async () => {
    const plain: DocumentSource = { documents: 1, tokens: 4, read: () => ({ ids: Uint16Array.of(1, 0, 6, 2) }) };
    const [packed] = await createSequences([{ name: "a", source: plain }], { length: 3, seed: 1 }).next(1);
    expect(packed).toEqual({
      tokens: Int32Array.of(1, 0, 6),
      targets: Int32Array.of(0, 6, 2),
      weights: Float64Array.of(1, 1, 1),
      rows: [3],
    });
  });
});

describe("batches", () => {
  type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
  /** What a run takes. */
  interface Data {
    readonly fingerprint: string;
    batches(position: Json | undefined): AsyncIterable<{ readonly batch: Batch; readonly position: Json }>;
  }
  const options = { length: 20, seed: 1, sequences: 5, microBatch: 2 };
  const take = async (data: Data, count: number, from?: Json): Promise<[readonly Batch[], Json]> => {
    const batches: Batch[] = [];
    let last: Json = null;
    for await (const { batch, position } of data.batches(from)) {
      last = position;
      if (batches.push(batch) === count) break;
    }
    return [batches, last];
  };

  test("are the stream's sequences in micro-batches, from any position on", async () => {
    const data = mixtureBatches(parts, options);
    const [all] = await take(data, 6);
    expect(all[0]!.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(all.flat(2)).toEqual(await createSequences(parts, { length: 20, seed: 1 }).next(30));
    const [first, position] = await take(data, 2);
    const [later, end] = await take(mixtureBatches(parts, options), 4, JSON.parse(JSON.stringify(position)));
    expect([...first, ...later]).toEqual(all);
    const { books, poems } = data.epochs(end);
    expect(poems).toBeGreaterThan(0);
    expect(books).toBeGreaterThan(poems!);
  });

  test("have a fingerprint that differs where positions mean other batches", async () => {
    const fingerprint = (given: object): string => mixtureBatches(parts, { ...options, ...given }).fingerprint;
    expect(fingerprint({ microBatch: 5 })).toBe(fingerprint({}));
    const others = [{ seed: 2 }, { length: 21 }, { sequences: 6 }, { examples: "whole" }].map(fingerprint);
    expect(new Set([...others, fingerprint({})]).size).toBe(5);
    const [, position] = await take(mixtureBatches(parts, { ...options, seed: 2 }), 1);
    await expect(take(mixtureBatches(parts, options), 1, position)).rejects.toMatchObject({ code: "ERR_OPTION" });
  });

  test("options are checked", () => {
    expect(() => mixtureBatches(parts, { ...options, sequences: 0 })).toThrow(
      "sequences must be an integer at least 1",
    );
    expect(() => mixtureBatches(parts, { ...options, ...{ position: 3 } })).toThrow('unknown option "position"');
  });
});
