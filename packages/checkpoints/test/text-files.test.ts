// What stands around a tokenizer in Hugging Face's layout, and what follows from it for text. Ids of Llama 2's
// vocabulary are those of transformers 4.57.6's LlamaTokenizer on the same files.

import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import { sentencePieceFromGguf } from "@polyllama/vocabulary";
import { describe, expect, test } from "vitest";
import { type Checkpoint, openCheckpoint, readTokenizer } from "../src/index.ts";
import { failure, folderWith, huggingFaceFiles, small } from "./support.ts";

const pieces = ["▁", "a", "b", "▁a", "▁b", "ab", "▁ab"].map((piece, rank) => ({ piece, score: rank }));
const metadata = tinyMetadata(pieces);
const names = metadata.get("tokenizer.ggml.tokens") as string[];
const id = (piece: string): number => names.indexOf(piece);
/** Pieces of the small vocabulary, and the first id behind them. */
const next = names.length;

type Files = Readonly<Record<string, unknown>>;

/** A folder of a model with that many rows, the small vocabulary and other files; JSON where they are objects. */
async function folder(rows: number, files: Files): Promise<string> {
  const config = { ...small, vocabSize: rows };
  const more = Object.entries(files).map(([name, content]) => {
    return [
      name,
      typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content),
    ] as const;
  });
  return folderWith({
    ...huggingFaceFiles(config, { eos_token_id: 2 }),
    "tokenizer.model": sentencePieceFromGguf(metadata),
    ...Object.fromEntries(more),
  });
}

const open = async (rows: number, files: Files = {}): Promise<Checkpoint> => openCheckpoint(await folder(rows, files));
const endIds = ({ text }: Checkpoint): number[] => text.ends.map(({ id }) => id);
const encode = ({ tokenizer }: Checkpoint, text: string, special = false): number[] =>
  tokenizer!.encode(text, { special });

const config = { tokenizer_class: "LlamaTokenizer", bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" };

describe("tokens behind a tokenizer.model", () => {
  test("of added_tokens.json, special where special_tokens_map.json names them", async () => {
    await using opened = await open(next + 3, {
      "added_tokens.json": { "<x>": next + 1, "[PAD]": next, "<y>": next + 2 },
      "special_tokens_map.json": { pad_token: { content: "[PAD]" }, additional_special_tokens: ["<y>"] },
    });
    const { tokenizer, notices } = opened;
    expect(tokenizer?.vocabSize).toBe(next + 3);
    expect([next, next + 1, next + 2].map((one) => tokenizer!.isControl(one))).toEqual([true, false, true]);
    expect(encode(opened, "a<x>b")).toEqual([1, id("▁a"), next + 1, id("▁b")]);
    expect(encode(opened, "a[PAD]b<y>", true)).toEqual([1, id("▁a"), next, id("▁b"), next + 2]);
    expect(encode(opened, "[PAD]")).not.toContain(next);
    expect(tokenizer!.decode([1, id("▁a"), next, next + 1, id("b")])).toBe("a<x>b");
    expect(notices).toEqual([]);
  });

  test("of added_tokens_decoder, which silences the older files", async () => {
    await using opened = await open(next + 1, {
      "tokenizer_config.json": {
        ...config,
        added_tokens_decoder: { 1: { content: "<s>", special: true }, [next]: { content: "<|e|>", special: true } },
      },
      "added_tokens.json": { "<z>": next + 7 },
      "special_tokens_map.json": { eos_token: "<unk>" },
    });
    expect(opened.tokenizer).toMatchObject({ vocabSize: next + 1, bos: 1, eos: 2 });
    expect(encode(opened, "a<|e|>", true)).toEqual([1, id("▁a"), next]);
  });

  test("named as special alone, as many as there are rows; the rest with a notice", async () => {
    const files = { "tokenizer_config.json": { ...config, pad_token: "[PAD]", additional_special_tokens: ["<y>"] } };
    await using whole = await open(next + 2, files);
    expect(encode(whole, "[PAD]<y>", true)).toEqual([1, next, next + 1]);
    await using none = await open(next, files);
    expect(none.tokenizer?.vocabSize).toBe(next);
    expect(none.notices).toHaveLength(2);
    expect(none.notices[0]).toMatch(/tokenizer_config\.json: pad_token is "\[PAD\]".*it is left out\.$/);
  });

  test.each([
    ["tokenizer_config.json", ""],
    ["tokenizer_config.json", { content: "" }],
    ["special_tokens_map.json", ""],
  ])("an empty name in %s, %j, leaves the vocabulary's own token", async (file, name) => {
    const empty = { bos_token: name, eos_token: name, unk_token: name, additional_special_tokens: [name] };
    for (const rows of [next, next + 2]) {
      await using opened = await openCheckpoint(await folder(rows, { [file]: empty }), { fitVocabulary: true });
      expect(opened.tokenizer).toMatchObject({ vocabSize: next, bos: 1, eos: 2 });
      expect(encode(opened, "ab")).toEqual([1, id("▁ab")]);
      expect(endIds(opened)).toEqual([2]);
    }
  });

  test("ids that are skipped have a token without a text", async () => {
    await using opened = await open(next + 3, { "added_tokens.json": { "<x>": next + 2 } });
    expect(opened.tokenizer!.decode([id("▁a"), next, next + 1, next + 2])).toBe("a<x>");
    expect(opened.notices).toEqual([expect.stringMatching(/leaves 2 ids/)]);
  });

  test.each([
    ["added_tokens.json", { "added_tokens.json": { "<x>": next, "": next + 1 } }],
    [
      "tokenizer_config.json",
      {
        "tokenizer_config.json": { added_tokens_decoder: { [next]: { content: "<x>" }, [next + 1]: { content: "" } } },
      },
    ],
  ])("a last token without a name in %s is called [EMPTY_id]", async (file, files) => {
    await using opened = await open(next + 2, files);
    const { tokenizer, notices } = opened;
    expect(tokenizer?.vocabSize).toBe(next + 2);
    expect([tokenizer!.piece(next + 1), tokenizer!.isControl(next + 1)]).toEqual([`[EMPTY_${next + 1}]`, true]);
    expect(encode(opened, "a<x>b")).toEqual([1, id("▁a"), next, id("▁b")]);
    expect(tokenizer!.decode([next, next + 1])).toBe("<x>");
    expect(notices).toEqual([
      `${file} leaves 1 id behind the vocabulary without a name; there the tokens are called [EMPTY_id].`,
    ]);
  });

  test("an empty name for a piece says nothing, with a notice", async () => {
    const files = { "tokenizer_config.json": { added_tokens_decoder: { [id("▁a")]: { content: "", special: true } } } };
    await using opened = await open(next, files);
    expect(encode(opened, "a")).toEqual([1, id("▁a")]);
    expect(opened.tokenizer!.kind(id("▁a"))).toBe("normal");
    expect(opened.notices).toEqual([
      `tokenizer_config.json gives token ${id("▁a")} an empty name; it stays "▁a", as the vocabulary has it.`,
    ]);
  });

  test("a BOS or EOS without a row is the vocabulary's own, as in llama.cpp, with a notice", async () => {
    const files = {
      "tokenizer_config.json": { ...config, bos_token: "<bos>", eos_token: "<eos>", add_eos_token: true },
    };
    await using none = await open(next, files);
    expect(none.tokenizer).toMatchObject({ vocabSize: next, bos: 1, eos: 2 });
    expect(encode(none, "ab")).toEqual([1, id("▁ab"), 2]);
    expect(none.notices).toEqual([
      expect.stringMatching(/bos_token is "<bos>", which is not in the vocabulary.* left out\.$/),
      expect.stringMatching(/eos_token is "<eos>", which is not in the vocabulary.* left out\.$/),
      'BOS is the vocabulary\'s own in its place, token 1, "<s>".',
      'EOS is the vocabulary\'s own in its place, token 2, "</s>".',
    ]);
    await using whole = await open(next + 2, files);
    expect(whole.tokenizer).toMatchObject({ bos: next, eos: next + 1 });
    expect(whole.notices).toEqual([]);
  });

  test.each([
    [
      "an id of another piece",
      { "added_tokens.json": { "[PAD]": id("▁a") } },
      /token \d+ is "\[PAD\]", but it is "▁a"/,
    ],
    ["a piece with another id", { "added_tokens.json": { "▁a": next } }, /token \d+ is "▁a", but that is token \d+/],
    ["an id far away", { "added_tokens.json": { x: 4_000_000_000 } }, /but the vocabulary ends at/],
    ["an id that is none", { "added_tokens.json": { x: "7" } }, /added_tokens\.json\.x is "7", not a count/],
    [
      "a key that is no id",
      { "tokenizer_config.json": { added_tokens_decoder: { x: {} } } },
      /"x" where an id is expected/,
    ],
    [
      "text that is no flag",
      { "tokenizer_config.json": { add_bos_token: "no" } },
      /add_bos_token is "no", not true or false/,
    ],
  ])("%s is refused by name", async (_, files, message) => {
    const error = await failure(open(next, files));
    expect(error.code).toBe("ERR_TOKENIZER");
    expect(error.message).toMatch(message);
  });
});

describe("BOS and EOS", () => {
  test.each([
    ["neither flag", {}, [1, id("▁ab")]],
    ["add_bos_token false", { add_bos_token: false }, [id("▁ab")]],
    ["add_eos_token true", { add_eos_token: true }, [1, id("▁ab"), 2]],
    [
      "names as objects",
      { bos_token: { content: "</s>" }, eos_token: { content: "<s>" }, add_eos_token: true },
      [2, id("▁ab"), 1],
    ],
    ["no BOS at all", { bos_token: null }, [id("▁ab")]],
  ])("%s beside tokenizer.model", async (_, change, ids) => {
    await using opened = await open(next, { "tokenizer_config.json": { ...config, ...change } });
    expect(encode(opened, "ab")).toEqual(ids);
    expect(opened.text).toMatchObject({ addBos: opened.tokenizer!.addBos, addEos: opened.tokenizer!.addEos });
  });

  test.each([
    ["LlamaTokenizer goes by its flags", { tokenizer_class: "LlamaTokenizer" }, true],
    ["LlamaTokenizer without BOS", { tokenizer_class: "LlamaTokenizerFast", add_bos_token: false }, false],
    ["other classes by the post-processor", { tokenizer_class: "PreTrainedTokenizerFast" }, false],
    ["a flag is heeded", { tokenizer_class: "PreTrainedTokenizerFast", add_bos_token: true }, true],
  ])("%s beside tokenizer.json without a post-processor", async (_, change, addBos) => {
    const json = {
      model: { type: "BPE", vocab: { "<unk>": 0, "<s>": 1, "</s>": 2, a: 3 }, merges: [], unk_token: "<unk>" },
      added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true, normalized: false })),
    };
    const path = await folder(4, { "tokenizer.json": json, "tokenizer_config.json": { ...config, ...change } });
    const { tokenizer } = await readTokenizer(join(path, "tokenizer.json"), 4);
    expect(tokenizer.encode("a")).toEqual(addBos ? [1, 3] : [3]);
  });

  test("of a folder with both, tokenizer.json is read where it alone fits", async () => {
    const json = { model: { type: "BPE", vocab: { "<unk>": 0, a: 1, b: 2, c: 3 }, merges: [], unk_token: "<unk>" } };
    const path = await folder(next, { "tokenizer.json": json });
    for (const [size, expected] of [
      [next, next],
      [4, 4],
      [9, next],
    ] as const) {
      expect((await readTokenizer(path, size)).tokenizer.vocabSize).toBe(expected);
    }
  });

  test("a tokenizer.json with a BOS that has no row, and with an empty name", async () => {
    const usual = ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true, normalized: false }));
    const json = {
      model: { type: "BPE", vocab: { "<unk>": 0, "<s>": 1, "</s>": 2, a: 3 }, merges: [], unk_token: "<unk>" },
      added_tokens: [...usual, { id: 3, content: "", special: true }, { id: 4, content: "", special: false }],
    };
    const path = await folder(5, {
      "tokenizer.json": json,
      "tokenizer_config.json": { ...config, bos_token: "<bos>" },
    });
    await rm(join(path, "tokenizer.model"));
    await using opened = await openCheckpoint(path);
    expect(opened.tokenizer).toMatchObject({ vocabSize: 5, bos: 1, eos: 2 });
    expect(encode(opened, "a")).toEqual([1, 3]);
    expect([3, 4].map((one) => opened.tokenizer!.piece(one))).toEqual(["a", "[EMPTY_4]"]);
    expect(opened.notices).toEqual([
      'tokenizer.json gives token 3 an empty name; it stays "a", as the vocabulary has it.',
      "tokenizer.json leaves 1 id behind the vocabulary without a name; there the tokens are called [EMPTY_id].",
      expect.stringMatching(/bos_token is "<bos>".*left out\.$/),
      'BOS is the vocabulary\'s own in its place, token 1, "<s>".',
    ]);
  });

  test("tokens are added to a tokenizer.json too", async () => {
    const json = { model: { type: "BPE", vocab: { "<s>": 0, a: 1 }, merges: [] }, added_tokens: [] };
    const path = await folder(3, {
      "tokenizer.json": json,
      "tokenizer_config.json": {
        added_tokens_decoder: { 0: { content: "<s>", special: true }, 2: { content: "<x>" } },
      },
    });
    const { tokenizer } = await readTokenizer(join(path, "tokenizer.json"), 3);
    expect(tokenizer.vocabSize).toBe(3);
    expect(tokenizer.encode("a<x><s>a", { bos: false, special: true })).toEqual([1, 2, 0, 1]);
  });
});

describe("ends, template and sampling", () => {
  test.each([
    ["config.json alone", {}, [2]],
    ["generation_config.json in its place", { "generation_config.json": { eos_token_id: 5 } }, [2, 5]],
    ["a list", { "generation_config.json": { eos_token_id: [7, 5] } }, [2, 5, 7]],
    ["one without ends", { "generation_config.json": { eos_token_id: null } }, [2]],
    ["the tokenizer's EOS", { "tokenizer_config.json": { ...config, eos_token: "▁ab" } }, [2, id("▁ab")]],
    ["the map's EOS", { "special_tokens_map.json": { eos_token: { content: "▁b" } } }, [2, id("▁b")]],
  ])("%s", async (_, files, ids) => {
    await using opened = await open(next, files);
    expect(endIds(opened)).toEqual(ids);
    expect(opened.notices).toEqual([]);
  });

  test("a token that ends texts by its name", async () => {
    await using opened = await open(next + 2, {
      "added_tokens.json": { "<|im_start|>": next, "<|im_end|>": next + 1 },
    });
    expect(endIds(opened)).toEqual([2, next + 1]);
    expect(opened.text.ends[1]?.from).toEqual([expect.stringContaining("<|im_end|>")]);
  });

  test("who says so", async () => {
    await using opened = await open(next, {
      "tokenizer_config.json": config,
      "generation_config.json": { eos_token_id: [2, 5] },
    });
    expect(opened.text.ends).toEqual([
      { id: 2, from: ["tokenizer_config.json: eos_token", "generation_config.json: eos_token_id"] },
      { id: 5, from: ["generation_config.json: eos_token_id"] },
    ]);
  });

  test("ends that are no tokens are told", async () => {
    await using opened = await open(next, { "generation_config.json": { eos_token_id: ["2", 99_999, 2] } });
    expect(endIds(opened)).toEqual([2]);
    expect(opened.notices).toEqual([expect.stringContaining('"2"'), expect.stringContaining("99999")]);
  });

  test.each([
    ["tokenizer_config.json: chat_template", { "tokenizer_config.json": { ...config, chat_template: "A" } }],
    [
      "tokenizer_config.json: chat_template",
      {
        "tokenizer_config.json": {
          ...config,
          chat_template: [
            { name: "rag", template: "B" },
            { name: "default", template: "A" },
          ],
        },
      },
    ],
    ["chat_template.jinja", { "tokenizer_config.json": { ...config, chat_template: "B" }, "chat_template.jinja": "A" }],
    ["chat_template.jinja", { "chat_template.jinja": "A", "chat_template.json": { chat_template: "B" } }],
    ["chat_template.json: chat_template", { "chat_template.json": { chat_template: "A" } }],
    [
      "tokenizer_config.json: chat_template",
      {
        "tokenizer_config.json": { ...config, chat_template: "A" },
        "chat_template.json": { chat_template: "B" },
      },
    ],
  ])("the template of %s", async (from, files) => {
    await using opened = await open(next, files);
    expect(opened.text.chatTemplate).toEqual({ jinja: "A", from });
  });

  test("of templates of one name the file's counts; the others are all there", async () => {
    const list = [
      { name: "default", template: "A" },
      { name: "tool_use", template: "B" },
      { name: "rag", template: "C" },
    ];
    await using opened = await open(next, {
      "tokenizer_config.json": { ...config, chat_template: list },
      "additional_chat_templates/tool_use.jinja": "T",
      "additional_chat_templates/default.jinja": "D",
      "additional_chat_templates/notes.txt": "no template",
    });
    expect(opened.text.chatTemplate).toMatchObject({ jinja: "D", from: "additional_chat_templates/default.jinja" });
    expect(opened.text.namedTemplates).toEqual([
      { name: "rag", jinja: "C", from: 'tokenizer_config.json: chat_template "rag"' },
      { name: "tool_use", jinja: "T", from: "additional_chat_templates/tool_use.jinja" },
    ]);
  });

  test.each([
    [
      "without a text",
      { "tokenizer_config.json": { ...config, chat_template: [{ name: "a" }] } },
      /template is missing/,
    ],
    ["too long", { "additional_chat_templates/a.jinja": "x".repeat(2 ** 20 + 1) }, /a\.jinja: a chat template of/],
    [
      "too many",
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`additional_chat_templates/${i}.jinja`, ""])),
      /additional_chat_templates: 65 chat templates are more than 64/,
    ],
  ])("named templates that are refused: %s", async (_, files: Files, message) => {
    expect((await failure(open(next, files))).message).toMatch(message);
  });

  test("sampling is offered", async () => {
    await using opened = await open(next, {
      "generation_config.json": {
        do_sample: true,
        temperature: 0.6,
        top_p: 0.9,
        top_k: 40,
        repetition_penalty: 1.1,
        min_p: null,
      },
    });
    expect(opened.text.sampling).toEqual({ temperature: 0.6, topK: 40, topP: 0.9, repetitionPenalty: 1.1 });
    await using greedy = await open(next, { "generation_config.json": { do_sample: false, temperature: 0.6 } });
    expect(greedy.text.sampling).toEqual({ temperature: 0 });
  });
});

describeWithShared("Llama 2's vocabulary as transformers' LlamaTokenizer cuts it", () => {
  const decoder = (flags: Files = {}) => ({
    1: { content: "<s>", special: true },
    2: { content: "</s>", special: true },
    32000: { content: "<|im_start|>", special: true },
    32001: { content: "<|im_end|>", special: true },
    32002: { content: "<x>", special: false, normalized: false, ...flags },
  });
  const encoder = async (change: Files): Promise<(text: string) => number[]> => {
    const path = await folderWith({ "tokenizer_config.json": JSON.stringify({ ...config, ...change }) });
    await copyFile(shared("tokenizers/llama2.model"), join(path, "tokenizer.model"));
    const { tokenizer } = await readTokenizer(join(path, "tokenizer.model"), 32003);
    return (text) => tokenizer.encode(text, { special: true });
  };

  test("legacy, as by default: each stretch begins with a space", async () => {
    for (const legacy of [true, undefined]) {
      const ids = await encoder({ ...(legacy && { legacy }), added_tokens_decoder: decoder() });
      expect(ids("<|im_start|>user\nHi<|im_end|>")).toEqual([1, 32000, 1404, 13, 18567, 32001]);
      expect(ids("Hello <|im_start|> world")).toEqual([1, 15043, 29871, 32000, 29871, 3186]);
      expect(ids("a<x>b")).toEqual([1, 263, 32002, 289]);
      expect(ids("Hello<s>.")).toEqual([1, 15043, 1, 869]);
      expect(ids(" <x> b")).toEqual([1, 259, 32002, 29871, 289]);
    }
  });

  test("not legacy: only the text begins with one", async () => {
    const ids = await encoder({ legacy: false, added_tokens_decoder: decoder() });
    expect(ids("Hello <|im_start|> world")).toEqual([1, 15043, 29871, 32000, 3186]);
    expect(ids("a<x>b")).toEqual([1, 263, 32002, 29890]);
    expect(ids("</s>a")).toEqual([1, 2, 29874]);
    expect(ids("Hello<s>.")).toEqual([1, 15043, 1, 29889]);
    expect(ids(" <x> b")).toEqual([1, 259, 32002, 289]);
  });

  test("without a space in front", async () => {
    const ids = await encoder({ legacy: false, add_prefix_space: false, added_tokens_decoder: decoder() });
    expect(ids("Hello <|im_start|> world")).toEqual([1, 10994, 29871, 32000, 3186]);
    expect(ids("a<x>b")).toEqual([1, 29874, 32002, 29890]);
  });

  test("white space that a token takes along", async () => {
    const ids = await encoder({ added_tokens_decoder: decoder({ lstrip: true, rstrip: true }) });
    expect(ids("a <x> b")).toEqual([1, 263, 32002, 289]);
    expect(ids("a\n<x>\nb")).toEqual([1, 263, 32002, 289]);
  });
});
