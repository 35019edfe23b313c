// What a checkpoint means to text goes whole from layout to layout: a folder to GGUF and back, as fine-tuning leaves
// it.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tokenizerFromSentencePiece } from "@polyllama/core";
import { basePieces, type TextFolderParts, writeTextFolder } from "@polyllama/test-support/text-folder";
import { describe, expect, test } from "vitest";
import {
  type Checkpoint,
  compareCheckpoints,
  extendVocabulary,
  openCheckpoint,
  writeGguf,
  writeSafetensors,
} from "../src/index.ts";
import { folderWith, huggingFaceConfig, huggingFaceTensors, safetensors, small } from "./support.ts";

const template = "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}{% endfor %}";
const control = (...content: string[]) => ({ content, special: true });
const [first, second, third] = [basePieces, basePieces + 1, basePieces + 2];

const situations: readonly (readonly [string, TextFolderParts, Partial<Checkpoint["text"]>, readonly RegExp[]])[] = [
  ["nothing beside the vocabulary", {}, { addBos: true, addEos: false }, []],
  ["no BOS", { tokenizerConfig: { add_bos_token: false } }, { addBos: false }, []],
  ["EOS behind texts", { tokenizerConfig: { add_eos_token: true } }, { addEos: true }, []],
  ["a chat template", { tokenizerConfig: { chat_template: template } }, {}, []],
  ["a chat template in a file", { files: { "chat_template.jinja": template } }, {}, []],
  [
    "templates by name",
    {
      tokenizerConfig: {
        chat_template: [
          { name: "default", template },
          { name: "tool_use", template: `{{ tools }}${template}` },
          { name: "my rag", template: `{{ documents }}${template}` },
        ],
      },
    },
    {
      chatTemplate: { jinja: template, from: "tokenizer_config.json: chat_template" },
      namedTemplates: [
        { name: "my rag", jinja: `{{ documents }}${template}`, from: 'tokenizer_config.json: chat_template "my rag"' },
        { name: "tool_use", jinja: `{{ tools }}${template}`, from: 'tokenizer_config.json: chat_template "tool_use"' },
      ],
    },
    [],
  ],
  [
    "templates in files, and none without a name",
    { files: { "additional_chat_templates/tool_use.jinja": template, "additional_chat_templates/rag.jinja": "a" } },
    {
      chatTemplate: undefined,
      namedTemplates: [
        { name: "rag", jinja: "a", from: "additional_chat_templates/rag.jinja" },
        { name: "tool_use", jinja: template, from: "additional_chat_templates/tool_use.jinja" },
      ],
    },
    [],
  ],
  ["chat_template.json", { files: { "chat_template.json": JSON.stringify({ chat_template: template }) } }, {}, []],
  ["an added control token", { added: control("[PAD]") }, {}, []],
  ["added names that are text", { added: { content: ["<|user|>", "<|bot|>"], special: false } }, {}, []],
  ["added_tokens.json", { files: { "added_tokens.json": `{"<|x|>": ${first}}` }, paddingRows: 1 }, {}, []],
  ["another EOS", { added: control("<|a|>"), tokenizerConfig: { eos_token: "<|a|>" } }, {}, []],
  ["padding rows", { paddingRows: 64 }, {}, []],
  ["padding rows behind added tokens", { added: control("[PAD]"), paddingRows: 63 }, {}, []],
  ["two ends", { added: control("<|a|>", "<|b|>"), generationConfig: { eos_token_id: [2, second] } }, {}, []],
  ["three ends", { added: control("<|a|>", "<|b|>"), config: { eos_token_id: [2, first, second] } }, {}, []],
  [
    "four ends",
    { added: control("<|a|>", "<|b|>", "<|c|>"), config: { eos_token_id: [2, first, second, third] } },
    {},
    [/no key for one more end token; it will not end texts at 6146, "<\|c\|>"/],
  ],
  [
    "sampling",
    { generationConfig: { do_sample: true, temperature: 0.6, top_p: 0.9, top_k: 40, repetition_penalty: 1.1 } },
    {},
    [],
  ],
  ["no sampling", { generationConfig: { do_sample: false, temperature: 0.6 } }, { sampling: { temperature: 0 } }, []],
  [
    "added tokens with flags",
    {
      paddingRows: 3,
      tokenizerConfig: {
        added_tokens_decoder: {
          [first]: { content: "<|l|>", lstrip: true, special: true },
          [second]: { content: "<|r|>", rstrip: true, special: false },
          [third]: { content: "word", single_word: true, special: false },
        },
      },
    },
    {},
    [/no place for lstrip, rstrip and single_word .* of "<\|l\|>", "<\|r\|>", "word"; they are/, /cuts some texts/],
  ],
  [
    "no space after added tokens",
    { added: control("<|a|>"), tokenizerConfig: { legacy: false } },
    {},
    [/llama\.cpp cuts some texts into other tokens than the source does, such as "Say<s>it/],
  ],
];

describe.each(situations)("%s", (_, parts, says, notes) => {
  test("goes to GGUF and back", async () => {
    const folder = await folderWith();
    await writeTextFolder(join(folder, "source"), parts);
    await using source = await openCheckpoint(join(folder, "source"));
    expect(source.text).toMatchObject(says);
    const found: string[] = [];
    await writeGguf(join(folder, "m.gguf"), source, { onNote: (note) => found.push(note) });
    expect(found).toEqual(notes.map((note) => expect.stringMatching(note)));
    await using gguf = await openCheckpoint(join(folder, "m.gguf"));
    await writeSafetensors(join(folder, "back"), gguf);
    await using back = await openCheckpoint(join(folder, "back"));
    await writeGguf(join(folder, "again.gguf"), back);
    await using again = await openCheckpoint(join(folder, "again.gguf"));
    await writeSafetensors(join(folder, "copy"), source);
    await using copy = await openCheckpoint(join(folder, "copy"));
    for (const other of [gguf, back, again, copy]) {
      const { text, config, agrees } = await compareCheckpoints(source, other);
      expect({ text, config, agrees }).toEqual({ text: [], config: [], agrees: true });
    }
  });
});

test("a tokenizer.model that is written has BOS and EOS of its own, where the model's are added tokens", async () => {
  const folder = await folderWith();
  const tokenizerConfig = { bos_token: "<|a|>", eos_token: "<|b|>" };
  await writeTextFolder(join(folder, "source"), { added: control("<|a|>", "<|b|>"), tokenizerConfig });
  await using source = await openCheckpoint(join(folder, "source"));
  expect(source.tokenizer).toMatchObject({ bos: first, eos: second });
  await writeGguf(join(folder, "m.gguf"), source);
  await using gguf = await openCheckpoint(join(folder, "m.gguf"));
  await writeSafetensors(join(folder, "back"), gguf);
  const model = await readFile(join(folder, "back/tokenizer.model"));
  expect(tokenizerFromSentencePiece(model, "tokenizer.model")).toMatchObject({ bos: 1, eos: 2, vocabSize: basePieces });
  // SentencePiece itself goes by the numbers, fields 41 and 42 of its trainer's settings.
  for (const numbers of [
    [0xc8, 0x02, 1],
    [0xd0, 0x02, 2],
  ])
    expect(model.includes(Buffer.from(numbers))).toBe(true);
});

test("a flag that is lost is a difference to verify, also of one among hundreds of added tokens", async () => {
  const folder = await folderWith();
  const names = Array.from({ length: 200 }, (_, i) => `<|${i}|>`);
  await writeTextFolder(join(folder, "source"), { added: { content: names, special: false } });
  await using source = await openCheckpoint(join(folder, "source"));
  const config = source.metadata.get("tokenizer_config.json") as { added_tokens_decoder: Record<string, object> };
  const decoder = { ...config.added_tokens_decoder };
  decoder[basePieces + 150] = { ...decoder[basePieces + 150], lstrip: true };
  const changed = join(folder, "changed");
  await writeTextFolder(changed, {
    paddingRows: 200,
    tokenizerConfig: { added_tokens_decoder: decoder },
  });
  await using other = await openCheckpoint(changed);
  const { text } = await compareCheckpoints(source, other);
  expect(text).toEqual([expect.objectContaining({ field: expect.stringMatching(/^ids of "Say<\|150\|>it/) })]);
});

test("tokens that files add beside a tokenizer.json go to GGUF and back, with their flags", async () => {
  const pieces = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a"];
  const model = {
    type: "BPE",
    vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    merges: ["▁ a"],
    unk_token: "<unk>",
  };
  const special = ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true, normalized: false }));
  const own = { id: 4, content: "a", special: false, normalized: false, single_word: true };
  const json = {
    model,
    added_tokens: [...special, own],
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
  };
  const config = { ...small, vocabSize: 10 };
  const folder = await folderWith({
    "source/model.safetensors": safetensors(huggingFaceTensors(config)),
    "source/config.json": JSON.stringify(huggingFaceConfig(config)),
    "source/tokenizer.json": JSON.stringify(json),
    "source/tokenizer_config.json": JSON.stringify({
      tokenizer_class: "LlamaTokenizer",
      added_tokens_decoder: {
        7: { content: "<x>", rstrip: true, special: true },
        8: { content: "<y>", special: false },
        9: { content: "<z>", special: false, normalized: false, lstrip: true },
      },
    }),
  });
  await using source = await openCheckpoint(join(folder, "source"));
  expect(source.tokenizer?.vocabSize).toBe(10);
  const notes: string[] = [];
  await writeGguf(join(folder, "m.gguf"), source, { onNote: (note) => notes.push(note) });
  expect(notes[0]).toMatch(/here of "<x>", "<z>", "a"; they are kept/);
  await using gguf = await openCheckpoint(join(folder, "m.gguf"));
  await writeSafetensors(join(folder, "back"), gguf);
  await using back = await openCheckpoint(join(folder, "back"));
  await writeGguf(join(folder, "again.gguf"), back);
  await using again = await openCheckpoint(join(folder, "again.gguf"));
  for (const other of [gguf, back, again]) {
    expect(other.notices).toEqual([]);
    expect((await compareCheckpoints(source, other)).text).toEqual([]);
    for (const text of ["a <x> a<y> <z>b", "ab a <x>  b", " <y>▁<z> a"]) {
      const ids = source.tokenizer!.encode(text, { special: true });
      expect(other.tokenizer!.encode(text, { special: true })).toEqual(ids);
    }
  }
});

test("a quantized file says the same", async () => {
  const folder = await folderWith();
  const added = control("<|a|>");
  await writeTextFolder(join(folder, "source"), { added, config: { eos_token_id: [2, first] } });
  await using source = await openCheckpoint(join(folder, "source"));
  await writeGguf(join(folder, "m.gguf"), source, { format: "q4_0" });
  await using gguf = await openCheckpoint(join(folder, "m.gguf"));
  expect((await compareCheckpoints(source, gguf)).text).toEqual([]);
  expect(gguf.metadata.get("tokenizer.ggml.eot_token_id")).toBe(first);
});

test("a grown vocabulary keeps ends, chat template and BOS policy", async () => {
  const folder = await folderWith();
  await writeTextFolder(join(folder, "source"), {
    tokenizerConfig: { chat_template: template, add_bos_token: false },
    generationConfig: { eos_token_id: [2, 100], temperature: 0.5 },
  });
  await using source = await openCheckpoint(join(folder, "source"));
  await using grown = await extendVocabulary(source, join(folder, "source", "tokenizer.model"));
  await writeGguf(join(folder, "m.gguf"), grown);
  await using gguf = await openCheckpoint(join(folder, "m.gguf"));
  expect(gguf.text).toMatchObject({ addBos: false, chatTemplate: { jinja: template }, sampling: { temperature: 0.5 } });
  expect(gguf.text.ends.map(({ id }) => id)).toEqual([2, 100]);
});

test("what is made for transformers names every added token, its kind and the ends", async () => {
  const folder = await folderWith();
  await writeTextFolder(join(folder, "source"), { added: control("<|a|>"), config: { eos_token_id: [2, first] } });
  await using source = await openCheckpoint(join(folder, "source"));
  await writeGguf(join(folder, "m.gguf"), source);
  await using gguf = await openCheckpoint(join(folder, "m.gguf"));
  await writeSafetensors(join(folder, "back"), gguf);
  const read = async (name: string) => JSON.parse(await readFile(join(folder, "back", name), "utf8"));
  expect((await read("tokenizer_config.json")).added_tokens_decoder).toMatchObject({
    0: { content: "<unk>", special: true },
    1: { content: "<s>", special: true },
    [first]: { content: "<|a|>", special: true, normalized: false },
  });
  expect(await read("generation_config.json")).toEqual({ bos_token_id: 1, eos_token_id: [2, first] });
  expect(await read("config.json")).toMatchObject({ eos_token_id: [2, first] });
});

test("names of templates are GGUF's, and a file of llama.cpp's with them is read", async () => {
  const folder = await folderWith();
  const named = [{ name: "tool_use", template: "t" }];
  await writeTextFolder(join(folder, "source"), { tokenizerConfig: { chat_template: named } });
  await using source = await openCheckpoint(join(folder, "source"));
  await writeGguf(join(folder, "m.gguf"), source);
  await using gguf = await openCheckpoint(join(folder, "m.gguf"));
  expect(gguf.metadata.get("tokenizer.chat_templates")).toEqual(["tool_use"]);
  expect(gguf.metadata.get("tokenizer.chat_template.tool_use")).toBe("t");
  expect(gguf.metadata.has("tokenizer.chat_template")).toBe(false);
  expect(gguf.text.namedTemplates).toEqual([
    { name: "tool_use", jinja: "t", from: "tokenizer.chat_template.tool_use" },
  ]);
  const changed = { ...gguf.text, namedTemplates: [{ name: "tool_use", jinja: "other", from: "" }] };
  const { text } = await compareCheckpoints(gguf, { ...gguf, text: changed });
  expect(text).toEqual([{ field: 'chatTemplate "tool_use"', values: ["t", "other"] }]);
  const without = await compareCheckpoints({ ...gguf, text: { ...gguf.text, namedTemplates: [] } }, gguf);
  expect(without.text).toEqual([{ field: 'chatTemplate "tool_use"', values: [undefined, "t"] }]);
});

test("a folder of templates is replaced with its checkpoint, and one with anything else is not", async () => {
  const folder = await folderWith();
  const [source, target] = [join(folder, "source"), join(folder, "target")];
  await writeTextFolder(source, { files: { "additional_chat_templates/tool_use.jinja": template } });
  await using checkpoint = await openCheckpoint(source);
  await writeSafetensors(target, checkpoint);
  await writeSafetensors(target, checkpoint, { overwrite: true });
  expect(await readFile(join(target, "additional_chat_templates", "tool_use.jinja"), "utf8")).toBe(template);
  await writeFile(join(target, "additional_chat_templates", "notes.txt"), "mine");
  const refused = writeSafetensors(target, checkpoint, { overwrite: true });
  await expect(refused).rejects.toThrow(/the folder holds "additional_chat_templates\/notes\.txt"/);
  await mkdir(join(folder, "single"));
  await writeSafetensors(join(folder, "single", "m.safetensors"), checkpoint);
  await using single = await openCheckpoint(join(folder, "single", "m.safetensors"));
  expect(single.text.namedTemplates).toEqual(checkpoint.text.namedTemplates);
});
