import { readFileSync } from "node:fs";
import { fixture } from "@polyllama/test-support/fixtures";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  PolyllamaError,
  type Tokenizer,
  tokenizerFromGguf,
  tokenizerFromJson,
  tokenizerFromLlama2c,
  tokenizerFromSentencePiece,
} from "../src/index.ts";

const file = (name: string): Buffer => readFileSync(fixture(name));

/** Makes a tokenizer and uses it: that succeeds, or fails as a PolyllamaError that names the file. */
function survives(make: () => Tokenizer): boolean {
  try {
    const tokenizer = make();
    const ids = tokenizer.encode(" Hello  rabbit\n你好🦙</s>", { bos: false });
    tokenizer.encode("<s> a <sep> b", { bos: false, special: true });
    tokenizer.decode(ids, { special: true });
    tokenizer.decode(Array.from({ length: Math.min(tokenizer.vocabSize, 1000) }, (_, id) => id));
    return true;
  } catch (error) {
    if (!(error instanceof PolyllamaError)) throw error;
    expect(error.code).toBe("ERR_TOKENIZER");
    expect(error.message).toMatch(/^damaged: ./);
    return false;
  }
}

/** Some bytes of a file overwritten, some cut out, some repeated. */
function mutated(original: Uint8Array): fc.Arbitrary<Uint8Array> {
  const place = fc.nat(original.length - 1);
  const edit = fc.record({ at: place, bytes: fc.uint8Array({ maxLength: 6 }), remove: fc.option(fc.nat(8)) });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let bytes = original;
    for (const { at, bytes: inserted, remove } of edits) {
      bytes = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + (remove ?? inserted.length))]);
    }
    return bytes;
  });
}

describe.each(["rules.model", "unused.model"])("%s", (name) => {
  const original = file(name);
  const make = (bytes: Uint8Array): boolean => survives(() => tokenizerFromSentencePiece(bytes, "damaged"));

  test("is read whole, and cut at any place refused", () => {
    expect(make(original)).toBe(true);
    for (let length = 0; length < original.length; length += length < 300 ? 1 : 61) {
      expect(make(original.subarray(0, length)), `${length} bytes`).toBe(false);
    }
  });

  test("is refused or read when bytes differ", () => {
    fc.assert(
      fc.property(mutated(original), (bytes) => void make(bytes)),
      { numRuns: 300 },
    );
  });
});

test("bytes that are no protobuf are refused", () => {
  const attempts: readonly [number[], RegExp][] = [
    [[], /no trainer_spec; the file is cut short/],
    [[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], /a field of 4294967295 bytes stands where 0 are left/],
    [[0x0a, 0xff, 0xff, 0xff, 0xff, 0x07], /a field of 2147483647 bytes/],
    [Array(11).fill(0xff), /does not end/],
    [[0x00], /there is no field/],
    [[0x0b], /wire type 3/],
    [[0x0d, 0, 0], /a field of 4 bytes/],
  ];
  for (const [bytes, message] of attempts) {
    expect(() => tokenizerFromSentencePiece(Uint8Array.from(bytes), "damaged")).toThrow(message);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      survives(() => tokenizerFromSentencePiece(bytes, "damaged"));
    }),
  );
});

describe("tokenizer.bin", () => {
  const pieces: readonly [string, number][] = [
    ["<unk>", 0],
    ["\n<s>\n", 0],
    ["\n</s>\n", 0],
    ...Array.from({ length: 256 }, (_, byte): [string, number] => [
      `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
      0,
    ]),
    [" ", -9],
    [" he", -1],
    ["he", 0],
  ];
  const parts = pieces.map(([piece, score]) => {
    const text = Buffer.from(piece);
    const head = Buffer.alloc(8);
    head.writeFloatLE(score, 0);
    head.writeInt32LE(text.length, 4);
    return Buffer.concat([head, text]);
  });
  const original = Buffer.concat([Buffer.from([6, 0, 0, 0]), ...parts]);
  const make = (bytes: Uint8Array): boolean => survives(() => tokenizerFromLlama2c(bytes, pieces.length, "damaged"));

  test("is read as run.c reads it", () => {
    const tokenizer = tokenizerFromLlama2c(original, pieces.length, "tokenizer.bin");
    expect(tokenizer.encode("he he\n", { eos: true })).toEqual([1, 260, 260, 13, 2]);
    expect(tokenizer.piece(260)).toBe("▁he");
    expect(tokenizer.encode("</s>", { bos: false, special: true })).toEqual([2]);
  });

  test("is refused when cut, when longer, and with another model's size", () => {
    for (let length = 0; length < original.length; length += 7) expect(make(original.subarray(0, length))).toBe(false);
    expect(make(Buffer.concat([original, original.subarray(4)]))).toBe(false);
    for (const size of [0, -1, 2, 1.5, pieces.length + 1, 2 ** 31, Number.NaN]) {
      expect(survives(() => tokenizerFromLlama2c(original, size, "damaged"))).toBe(false);
    }
    const long = Buffer.from(original);
    long.writeInt32LE(0x7fffffff, 8);
    expect(() => tokenizerFromLlama2c(long, pieces.length, "damaged")).toThrow(/piece 0 has 2147483647 bytes/);
  });

  test("is refused or read when bytes differ", () => {
    fc.assert(
      fc.property(mutated(original), (bytes) => void make(bytes)),
      { numRuns: 300 },
    );
  });
});

describe("structured files with any value in any place", () => {
  const anything = fc.anything({ withTypedArray: true, withBigInt: true, maxDepth: 2 });

  test("GGUF metadata", () => {
    const keys = [
      ...tinyMetadata([]).keys(),
      ...["add_bos_token", "add_space_prefix", "remove_extra_whitespaces"].map((key) => `tokenizer.ggml.${key}`),
      "tokenizer.chat_template",
    ];
    const list = fc.oneof(
      fc.array(fc.string({ maxLength: 4 }), { maxLength: 6 }),
      fc.array(fc.constantFrom(-1, 0, 1, 2, 3, 6, 7, 1e9, Number.NaN), { maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.oneof(anything, list), (key, value) => {
        const metadata = tinyMetadata([{ piece: "▁", score: 0 }]).set(key, value);
        survives(() => tokenizerFromGguf(metadata, "damaged"));
      }),
      { numRuns: 500 },
    );
  });

  test("tokenizer.json", () => {
    const { file: head, model, vocab, pipelines } = JSON.parse(file("tokenizer-json.json").toString());
    const entries = [
      ...vocab.slice(0, 262).map((piece: string, id: number) => [piece, id]),
      ["ab", 262],
      ["a", 263],
      ["b", 264],
    ];
    const text = JSON.stringify({
      ...head,
      ...pipelines.legacy,
      cases: undefined,
      added_tokens: head.added_tokens.slice(0, 3),
      model: { ...model, vocab: Object.fromEntries(entries.slice(0, 262)), merges: [] },
    });
    expect(survives(() => tokenizerFromJson(JSON.parse(text), "damaged"))).toBe(true);

    const component = fc.record({
      type: fc.constantFrom("Sequence", "Replace", "Prepend", "Metaspace", "Strip", "Fuse", "ByteFallback", "NFC"),
      pattern: fc.constant({ String: "a" }),
      content: fc.constantFrom(" ", "ab", "", 1),
      start: fc.constantFrom(0, 1, -1),
      stop: fc.constantFrom(0, 1, 1e9),
      prepend: fc.constant("▁"),
    });
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 5 }), fc.oneof(anything, component), (path, value) => {
        const json = JSON.parse(text);
        let node = json;
        for (const [i, step] of path.entries()) {
          const keys = Object.keys(node);
          if (keys.length === 0) break;
          const key = keys[step % keys.length]!;
          if (i + 1 === path.length || typeof node[key] !== "object" || node[key] === null) {
            node[key] = value;
            break;
          }
          node = node[key];
        }
        survives(() => tokenizerFromJson(json, "damaged"));
      }),
      { numRuns: 1000 },
    );
    fc.assert(fc.property(anything, (json) => void survives(() => tokenizerFromJson(json, "damaged"))));
  });

  test("nesting has an end", () => {
    let decoder: unknown = { type: "Fuse" };
    for (let i = 0; i < 100_000; i++) decoder = { type: "Sequence", decoders: [decoder] };
    const json = { model: { vocab: { a: 0 }, merges: [] }, decoder };
    expect(() => tokenizerFromJson(json, "damaged")).toThrow(/nested too deeply/);
  });
});
