import { readdirSync, readFileSync } from "node:fs";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { fixture } from "@polyllama/test-support/fixtures";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tokenizerFromJson } from "../src/index.ts";

type Json = Record<string, unknown>;
const read = (path: string | URL): unknown => JSON.parse(readFileSync(path, "utf8"));

interface Case {
  readonly text: string;
  /** With the template, special tokens as text. */
  readonly ids: number[];
  /** Without the template, special tokens as such. */
  readonly special: number[];
  readonly decoded: string;
}
interface Fixture {
  readonly file: Json;
  readonly model: Json;
  readonly vocab: readonly string[];
  readonly merges: readonly string[];
  readonly pipelines: Readonly<Record<string, Json & { model: Json; cases: Case[] }>>;
}
const rules = read(fixture("tokenizer-json.json")) as Fixture;
const vocab = Object.fromEntries(rules.vocab.map((piece, id) => [piece, id]));

/** The tokenizer.json of one of the fixture's pipelines, with some of its fields replaced. */
function pipeline(name: string, changes: Json = {}, model: Json = {}): Json {
  const { cases, ...components } = rules.pipelines[name]!;
  return {
    ...rules.file,
    ...components,
    model: { ...rules.model, vocab, merges: rules.merges, ...components.model, ...model },
    ...changes,
  };
}

describe("pipelines equal Hugging Face's tokenizers", () => {
  test.each(Object.keys(rules.pipelines))("%s", (name) => {
    const tokenizer = tokenizerFromJson(pipeline(name), name);
    for (const { text, ids, special, decoded } of rules.pipelines[name]!.cases) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.encode(text, { bos: false, special: true }), JSON.stringify(text)).toEqual(special);
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
    }
  });

  test("added tokens take along the white space that they say they do", () => {
    const added = rules.file["added_tokens"] as readonly Json[];
    const first = 1 + Math.max(...added.map(({ id }) => Number(id)));
    const token = (n: number, sides: Json): Json => ({
      id: first + n,
      content: `<|${n}|>`,
      normalized: false,
      ...sides,
    });
    const added_tokens = [...added, token(0, {}), token(1, { lstrip: true }), token(2, { rstrip: true })];
    const tokenizer = tokenizerFromJson(pipeline("legacy", { added_tokens }), "legacy");
    const encode = (text: string) => tokenizer.encode(text, { bos: false });
    expect(encode("a \n <|1|> \t b")).toEqual(encode("a<|1|> \t b"));
    expect(encode("a \n <|2|> \t b")).toEqual(encode("a \n <|2|>b"));
    expect([encode(" \n<|1|>"), encode("<|2|>\t ")]).toEqual([[first + 1], [first + 2]]);
    for (const text of ["a <|0|>", "<|0|> b", "<|1|> b", "a <|2|>"]) {
      expect(encode(text), text).not.toEqual(encode(text.replace(" ", "")));
    }
  });

  test("every token says its kind", () => {
    const added = rules.file["added_tokens"] as readonly Json[];
    const name = { id: 1 + Math.max(...added.map(({ id }) => Number(id))), content: "<|name|>", special: false };
    const file = pipeline("legacy", { added_tokens: [...added, name] });
    const tokenizer = tokenizerFromJson(file, "legacy");
    const kind = (piece: string) => tokenizer.kind(tokenizer.id(piece)!);
    expect(["<s>", "<|name|>", "<0x41>", "▁"].map(kind)).toEqual(["control", "user-defined", "byte", "normal"]);
    const plain = tokenizerFromJson(pipeline("legacy", { added_tokens: [], post_processor: null }), "plain");
    expect(plain.kind(plain.id("<unk>")!)).toBe("unknown");
  });

  test("merges may be pairs", () => {
    const merges = rules.merges.map((merge) => merge.split(" "));
    const tokenizer = tokenizerFromJson(pipeline("legacy", {}, { merges }), "pairs");
    for (const { text, ids } of rules.pipelines["legacy"]!.cases) expect(tokenizer.encode(text)).toEqual(ids);
  });

  test.each(Object.keys(rules.pipelines))("%s: a stream joins to the whole", (name) => {
    const tokenizer = tokenizerFromJson(pipeline(name), name);
    const options = fc.record({ special: fc.boolean(), continuing: fc.boolean() });
    const id = fc.oneof(fc.nat(tokenizer.vocabSize - 1), fc.nat(270));
    fc.assert(
      fc.property(fc.array(id), options, (ids, chosen) => {
        const stream = tokenizer.decoder(chosen);
        const parts = [...ids.map((one) => stream.push(one)), stream.end()];
        for (const part of parts) expect(part).not.toMatch(/\p{Surrogate}/u);
        expect(parts.join("")).toBe(tokenizer.decode(ids, chosen));
      }),
    );
  });
});

describe("the decoder chain", () => {
  const decoderOf = (...decoders: Json[]): Json => pipeline("legacy", { decoder: { type: "Sequence", decoders } });
  const fuse = { type: "Fuse" };
  const space = { type: "Replace", pattern: { String: "▁" }, content: " " };

  test("strips no more than it is told, from both ends", () => {
    const json = decoderOf(space, { type: "ByteFallback" }, fuse, { type: "Strip", content: " ", start: 1, stop: 2 });
    const tokenizer = tokenizerFromJson(json, "strip");
    const [blank, a] = [vocab["▁"]!, vocab["a"]!];
    expect(tokenizer.decode([blank, blank, a, blank, a, blank, blank, blank])).toBe(" a a ");
    expect(tokenizer.decode([blank, a], { continuing: true })).toBe(" a");
  });

  test("an order that could not stream is refused", () => {
    expect(() => tokenizerFromJson(decoderOf(fuse, { type: "ByteFallback" }), "x")).toThrow(/comes after Fuse/);
    expect(() => tokenizerFromJson(decoderOf({ type: "Strip", content: " ", start: 1, stop: 0 }), "x")).toThrow(
      /decoders\[0\] comes without a Fuse/,
    );
  });
});

describe("special added tokens", () => {
  test("are never spelled by merges, nor by characters, nor as whole words", () => {
    const model = {
      vocab: { "<unk>": 0, "<s>": 1, "</s>": 2, "<": 3, s: 4, ">": 5, "<s": 6, q: 7 },
      merges: ["< s", "<s >"],
      byte_fallback: false,
    };
    const special = (id: number, content: string): Json => ({ id, content, special: true, normalized: false });
    const added_tokens = [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>"), special(7, "q")];
    for (const ignore_merges of [false, true]) {
      const json = pipeline("legacy", { added_tokens, normalizer: null }, { ...model, ignore_merges });
      const tokenizer = tokenizerFromJson(json, "special");
      expect(tokenizer.encode("<s>", { bos: false })).toEqual([6, 5]);
      expect(tokenizer.encode("q", { bos: false })).toEqual([0]);
      expect(tokenizer.encode("<s>q", { bos: false, special: true })).toEqual([1, 7]);
    }
  });

  test("text without a piece, bytes or an unknown token is refused", () => {
    const json = pipeline("legacy", {}, { byte_fallback: false, unk_token: null });
    expect(() => tokenizerFromJson(json, "file").encode("🦙")).toThrow(
      expect.objectContaining({ code: "ERR_TOKENIZER", message: expect.stringContaining("🦙") }),
    );
  });
});

describe("BOS, EOS and the chat template", () => {
  test("come from tokenizer_config.json, the template, or convention", () => {
    const json = pipeline("legacy");
    expect(tokenizerFromJson(json, "x")).toMatchObject({ bos: 1, eos: 2, chatTemplate: undefined });
    const config = {
      bos_token: { content: "<s>" },
      eos_token: "<cls>",
      chat_template: "{{ x }}",
      add_bos_token: false,
    };
    const tokenizer = tokenizerFromJson(json, "x", config);
    expect(tokenizer).toMatchObject({ bos: 1, eos: tokenizer.id("<cls>"), chatTemplate: "{{ x }}" });
    expect(tokenizer.encode("")).toEqual([]);
    const several = {
      chat_template: [
        { name: "tool", template: "t" },
        { name: "default", template: "d" },
      ],
    };
    expect(tokenizerFromJson(json, "x", several).chatTemplate).toBe("d");
    const bare = tokenizerFromJson(pipeline("legacy", { post_processor: null, added_tokens: null }), "x");
    expect(bare).toMatchObject({ bos: undefined, eos: undefined });
  });

  test("of two tokens for one purpose Llama's class takes its own; others name the way out; a name that there is not leaves the usual one", () => {
    const json = pipeline("legacy");
    const notices: string[] = [];
    const beside = { notice: (remark: string) => notices.push(remark) };
    const swapped = tokenizerFromJson(json, "x", { bos_token: "</s>" }, beside);
    expect(swapped.bos).toBe(2);
    expect(swapped.encode("a")[0]).toBe(2);
    expect(notices).toEqual([
      expect.stringMatching(/^bos_token is token 2, but the post_processor puts token 1 .* it is token 2$/),
    ]);
    const other = { bos_token: "</s>", tokenizer_class: "PreTrainedTokenizerFast" };
    expect(() => tokenizerFromJson(json, "x", other)).toThrow(
      /bos_token is token 2.*; name the same token in both files/,
    );
    expect(tokenizerFromJson(json, "x", { eos_token: "<eot>" }, beside).eos).toBe(2);
    expect(notices[1]).toMatch(/eos_token is "<eot>", which is not in the vocabulary/);
  });
});

describe("what is unknown or damaged is refused by name", () => {
  const added = (token: Json): Json => ({ added_tokens: [{ id: 1, content: "<s>", special: true, ...token }] });
  const attempts: readonly [Json, Json, RegExp][] = [
    [{ model: null }, {}, /model is not a JSON object/],
    [{}, { type: "Unigram" }, /model has the type "Unigram"/],
    [{}, { dropout: 0.1 }, /dropout/],
    [{}, { end_of_word_suffix: "</w>" }, /end_of_word_suffix/],
    [{}, { unk_token: "<none>" }, /"<none>"/],
    [{}, { vocab: null }, /model\.vocab is not a JSON object/],
    [{}, { vocab: { a: -1 } }, /vocab\.a is -1/],
    [{}, { vocab: { a: 1e15 }, merges: [], unk_token: null }, /there are 9 tokens, but none has the id 3/],
    [{}, { vocab: {}, merges: [], unk_token: null }, /none has the id/],
    [{}, { merges: null }, /model\.merges is missing/],
    [{}, { merges: ["a b c"] }, /"a b c", which is not a pair/],
    [{}, { merges: [["a", "nowhere"]] }, /"nowhere" is not in its vocabulary/],
    [{ normalizer: { type: "Lowercase" } }, {}, /normalizer has the type "Lowercase"/],
    [{ normalizer: { type: "Replace", pattern: { Regex: " +" }, content: "" } }, {}, /regular expression/],
    [{ pre_tokenizer: { type: "ByteLevel" } }, {}, /pre_tokenizer has the type "ByteLevel"/],
    [{ pre_tokenizer: { type: "Metaspace", replacement: "ab" } }, {}, /not one character/],
    [{ post_processor: { type: "ByteLevel" } }, {}, /post_processor has the type "ByteLevel"/],
    [{ post_processor: { type: "TemplateProcessing", single: [] } }, {}, /leaves out the text/],
    [
      { decoder: { type: "Sequence", decoders: [{ type: "WordPiece" }] } },
      {},
      /decoder\.decoders\[0\] has the type "WordPiece"/,
    ],
    [added({ id: 2 }), {}, /"<s>" has the ids 2 and 1/],
    [added({ id: 99_999, content: "<new>" }), {}, /none has the id/],
    [added({ lstrip: "yes" }), {}, /added_tokens\[0\]\.lstrip is "yes"/],
  ];
  test.each(attempts)("%j %j", (changes, model, message) => {
    const attempt = (): unknown => tokenizerFromJson(pipeline("legacy", changes, model), "file.json");
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(
      expect.objectContaining({ code: "ERR_TOKENIZER", message: expect.stringContaining("file.json") }),
    );
  });
});

describeWithShared("TinyStories-656K", () => {
  const folder = shared("weights/TinyStories-656K/");
  const load = (): [Json, Json] => [
    read(`${folder}tokenizer.json`) as Json,
    read(`${folder}tokenizer_config.json`) as Json,
  ];

  test("ids and text equal @huggingface/tokenizers' on 10,000 lines", () => {
    const [json, config] = load();
    const tokenizer = tokenizerFromJson(json, "TinyStories-656K", config);
    const theirs = new HuggingFaceTokenizer(json, config);
    const lines = readdirSync(shared("corpora/en"))
      .filter((name) => name.endsWith(".txt"))
      .sort()
      .flatMap((name) => readFileSync(shared(`corpora/en/${name}`), "utf8").split("\n"))
      .filter((line) => line !== "")
      .slice(0, 10_000);
    expect(lines).toHaveLength(10_000);
    const differing = lines.filter((line) => {
      const { ids } = theirs.encode(line);
      const text = theirs.decode(ids, { skip_special_tokens: true });
      return tokenizer.encode(line).join() !== ids.join() || tokenizer.decode(ids) !== text;
    });
    expect(differing).toEqual([]);
  }, 300_000);

  test("its BOS in a text is text, and a token on request", () => {
    const [json, config] = load();
    const tokenizer = tokenizerFromJson(json, "TinyStories-656K", config);
    expect(tokenizer).toMatchObject({ vocabSize: 2048, bos: 1, eos: 2 });
    const text = "<|start_story|>Once upon a time<|end_story|>";
    const ids = tokenizer.encode(text, { bos: false });
    expect(ids.filter((id) => tokenizer.isControl(id) && id !== 0)).toEqual([]);
    expect(tokenizer.encode(text, { bos: false, special: true })[0]).toBe(1);
  });
});
