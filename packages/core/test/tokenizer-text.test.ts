import { readFileSync } from "node:fs";
import { fixture } from "@polyllama/test-support/fixtures";
import { tinyMetadata, tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Tokenizer, tokenizerFromGguf, tokenizerFromSentencePiece } from "../src/index.ts";
import { utf8CodePoint, utf8Decode, utf8Encode, utf8Stream } from "../src/tokenizer/utf8.ts";

const load = (name: string): Tokenizer => tokenizerFromSentencePiece(readFileSync(fixture(`${name}.model`)), name);
const anyText = fc.string({ unit: "binary" });

describe("UTF-8", () => {
  test("encoding equals TextEncoder's, lone surrogates included", () => {
    const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 });
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          units.map((list) => String.fromCharCode(...list)),
        ),
        (text) => {
          expect([...utf8Encode(text)]).toEqual([...new TextEncoder().encode(text)]);
        },
      ),
    );
  });

  const someBytes = fc.array(
    fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xa0, 0x90),
    ),
    { maxLength: 16 },
  );
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const strictly = (bytes: readonly number[]): string | undefined => {
    try {
      return strict.decode(Uint8Array.from(bytes));
    } catch {
      return undefined;
    }
  };

  test("decoding accepts what a strict TextDecoder accepts", () => {
    fc.assert(
      fc.property(someBytes, (bytes) => {
        expect(utf8Decode(Uint8Array.from(bytes))).toBe(strictly(bytes));
      }),
    );
  });

  test("a stream gives whole characters, and one U+FFFD for each byte that is in none", () => {
    fc.assert(
      fc.property(someBytes, (bytes) => {
        let expected = "";
        for (let at = 0; at < bytes.length; ) {
          const length = [1, 2, 3, 4].find(
            (n) => at + n <= bytes.length && strictly(bytes.slice(at, at + n)) !== undefined,
          );
          expected += length === undefined ? "\uFFFD" : strictly(bytes.slice(at, at + length))!;
          at += length ?? 1;
        }
        const stream = utf8Stream();
        const parts = [...bytes.map((byte) => stream.push(byte)), stream.flush()];
        expect(parts.join("")).toBe(expected);
      }),
    );
  });

  test("a stream waits for no more than the character at hand", () => {
    const stream = utf8Stream();
    const parts = [0xf0, 0x9f, 0xa6, 0x99, 0xe4, 0x41].map((byte) => stream.push(byte));
    expect(parts).toEqual(["", "", "", "🦙", "", "\uFFFDA"]);
    expect(utf8CodePoint([0xed, 0xa0, 0x80], 0, 3)).toBe(-1); // a surrogate
  });

  test("a stream gives bytes up as soon as no others can make a character of them", () => {
    const given = (bytes: readonly number[]): string => {
      const stream = utf8Stream();
      return bytes.map((byte) => stream.push(byte)).join("");
    };
    const hopeless = [[0xc0], [0xc1], [0xf5], [0xf7], [0xe0, 0x9f], [0xed, 0xa0], [0xf0, 0x8f], [0xf4, 0x90]];
    for (const bytes of hopeless) expect(given(bytes)).toBe("\uFFFD".repeat(bytes.length));
    const open = [[0xc2], [0xe0, 0xa0], [0xed, 0x9f], [0xf0, 0x90], [0xf4, 0x8f], [0xf4, 0x8f, 0xbf]];
    for (const bytes of open) expect(given(bytes)).toBe("");
  });
});

describe("decoding", () => {
  const tokenizers: readonly [string, Tokenizer][] = [
    ["tiny", tinyTokenizer()],
    ["rules", load("rules")],
    ["unused", load("unused")],
  ];

  test.each(tokenizers)("%s: a stream's parts are well-formed and join to the whole", (_, tokenizer) => {
    const id = fc.oneof(fc.nat(tokenizer.vocabSize - 1), fc.nat(Math.min(270, tokenizer.vocabSize - 1)));
    const options = fc.record({ special: fc.boolean(), continuing: fc.boolean() });
    fc.assert(
      fc.property(fc.array(id), options, (ids, chosen) => {
        const stream = tokenizer.decoder(chosen);
        const parts = [...ids.map((one) => stream.push(one)), stream.end()];
        for (const part of parts) expect(part).not.toMatch(/\p{Surrogate}/u);
        expect(parts.join("")).toBe(tokenizer.decode(ids, chosen));
      }),
    );
  });

  test("gives back any text whose vocabulary has bytes", () => {
    const tokenizer = tinyTokenizer();
    fc.assert(
      fc.property(anyText, (text) => {
        fc.pre(!text.includes("▁"));
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.replace(/\p{Surrogate}/gu, "\uFFFD"));
      }),
    );
    expect(tokenizer.decode(tokenizer.encode("\ud83e hello \udd99"))).toBe("\uFFFD hello \uFFFD");
  });

  test("a character that comes in bytes appears when it is complete", () => {
    const tokenizer = tinyTokenizer();
    const stream = tokenizer.decoder();
    const parts = tokenizer.encode("🦙!", { bos: false }).map((id) => stream.push(id));
    expect(parts).toEqual(["", "", "", "", "🦙", "!"]);
  });

  test("the space in front goes once, and stays where text continues", () => {
    const tokenizer = tinyTokenizer();
    const world = tokenizer.id("▁world")!;
    expect(tokenizer.decode([1, world, world])).toBe("world world");
    expect(tokenizer.decode([world], { continuing: true })).toBe(" world");
    expect(tokenizer.decode([1, world, 2], { special: true })).toBe("<s>world</s>");
  });

  test("an id that is no token is refused", () => {
    const tokenizer = tinyTokenizer();
    for (const id of [-1, 1.5, tokenizer.vocabSize, Number.NaN]) {
      for (const attempt of [
        () => tokenizer.decode([id]),
        () => tokenizer.piece(id),
        () => tokenizer.isControl(id),
        () => tokenizer.decoder().push(id),
      ]) {
        expect(attempt).toThrow(expect.objectContaining({ code: "ERR_TOKENIZER" }));
      }
    }
  });
});

describe("control tokens", () => {
  test("are text in text, unless they are asked for", () => {
    const tokenizer = tinyTokenizer();
    const ids = tokenizer.encode("hello</s><s>", { bos: false });
    expect(ids.some((id) => tokenizer.isControl(id))).toBe(false);
    expect(tokenizer.decode(ids)).toBe("hello</s><s>");
    const special = tokenizer.encode("hello</s><s> hello", { bos: false, special: true });
    expect(special.filter((id) => tokenizer.isControl(id))).toEqual([2, 1]);
    expect(tokenizer.decode(special)).toBe("hello  hello");
  });

  test("a control token of one character is text, too", () => {
    const metadata = tinyMetadata([{ piece: "x", score: 0 }]);
    (metadata.get("tokenizer.ggml.token_type") as Int32Array)[259] = 3;
    const tokenizer = tokenizerFromGguf(metadata, "tiny");
    expect(tokenizer.encode("x", { bos: false })).not.toContain(259);
    expect(tokenizer.encode("x", { bos: false, special: true })).toEqual([259]);
  });

  test("BOS and EOS are put as the file declares and the caller asks", () => {
    const tokenizer = tinyTokenizer();
    expect(tokenizer.encode("")).toEqual([1]);
    expect(tokenizer.encode("", { bos: false })).toEqual([]);
    expect(tokenizer.encode("", { eos: true })).toEqual([1, 2]);
    const declared = tinyTokenizer(undefined, [
      ["tokenizer.ggml.add_bos_token", false],
      ["tokenizer.ggml.add_eos_token", true],
    ]);
    expect(declared.encode("")).toEqual([2]);
    const without = tinyTokenizer(undefined, [["tokenizer.ggml.bos_token_id", 0xffffffff]]);
    expect(without.bos).toBeUndefined();
    expect(() => without.encode("", { bos: true })).toThrow(/has no BOS/);
  });

  test("an unknown option is refused", () => {
    const options: object = { add_special_tokens: false };
    expect(() => tinyTokenizer().encode("", options)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    expect(() => tinyTokenizer().decode([], options)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
  });
});

describe("GGUF metadata", () => {
  test("what contradicts itself or is something else is refused by its key", () => {
    const attempts: readonly [string, unknown, RegExp][] = [
      ["tokenizer.ggml.model", "gpt2", /tokenizer\.ggml\.model is "gpt2"/],
      ["tokenizer.ggml.tokens", undefined, /tokens is missing/],
      ["tokenizer.ggml.tokens", [1, 2], /tokens is not an array of strings/],
      ["tokenizer.ggml.tokens", [], /the vocabulary is empty/],
      ["tokenizer.ggml.scores", [0, 0], /scores has 2 entries/],
      ["tokenizer.ggml.scores", new Float32Array(274).fill(Number.NaN), /score of piece 0 is NaN/],
      ["tokenizer.ggml.bos_token_id", "<s>", /bos_token_id is "<s>", not an id/],
      ["tokenizer.ggml.add_bos_token", 1, /add_bos_token is 1, not a boolean/],
      ["tokenizer.chat_template", 7, /chat_template/],
      ["tokenizer.huggingface.added_tokens", 7, /added_tokens is not a JSON object/],
      [
        "tokenizer.huggingface.added_tokens",
        `{${Array.from({ length: 2 ** 16 + 1 }, (_, id) => `"${id}":{}`)}}`,
        /has 65537 added tokens; at most 65536 are read/,
      ],
      [
        "tokenizer.huggingface.added_tokens",
        '{"1":{"content":"<s>","lstrip":"no"}}',
        /added_tokens\.1\.lstrip is "no"/,
      ],
    ];
    for (const [key, value, message] of attempts) {
      expect(() => tinyTokenizer(undefined, [[key, value]]), key).toThrow(message);
      expect(() => tinyTokenizer(undefined, [[key, value]]), key).toThrow(
        expect.objectContaining({ code: "ERR_TOKENIZER" }),
      );
    }
  });

  test("old files without types have bytes by their names", () => {
    const tokenizer = tinyTokenizer(undefined, [["tokenizer.ggml.token_type", undefined]]);
    expect(tokenizer.decode(tokenizer.encode("🦙 hello"))).toBe("🦙 hello");
    expect(tokenizer.isControl(1)).toBe(true);
  });

  test("every token says its kind", () => {
    const types = [2, 3, 3, ...Array.from({ length: 256 }, () => 6), 1, 4, 5];
    const pieces = ["a", "<|x|>", "[PAD261]"].map((piece) => ({ piece, score: 0 }));
    const tokenizer = tinyTokenizer(pieces, [["tokenizer.ggml.token_type", Int32Array.from(types)]]);
    const kinds = [0, 1, 2, 258, 259, 260, 261].map((id) => tokenizer.kind(id));
    expect(kinds).toEqual(["unknown", "control", "control", "byte", "normal", "user-defined", "unused"]);
    expect(() => tokenizer.kind(262)).toThrow(/no token 262/);
  });

  test("the chat template is passed on", () => {
    expect(tinyTokenizer(undefined, [["tokenizer.chat_template", "{{ x }}"]]).chatTemplate).toBe("{{ x }}");
  });
});
