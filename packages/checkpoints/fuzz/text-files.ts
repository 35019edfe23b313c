// The small files around a tokenizer in Hugging Face's layout, spoiled one or several at a time, and read with a model
// as a folder of files is. An input is one JSON object with each file's text by its name.

import { mutatedJson } from "@polyllama/test-support/fuzz/mutate";
import { flatten, type Pieces } from "@polyllama/test-support/fuzz/pieces";
import type { Random } from "@polyllama/test-support/fuzz/random";
import type { Target } from "@polyllama/test-support/fuzz/target";
import { huggingFaceConfig, huggingFaceTensors, safetensors, small } from "@polyllama/test-support/hugging-face";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import { sentencePieceFromGguf } from "@polyllama/vocabulary";
import { openCheckpoint } from "../src/index.ts";
import { use } from "./use.ts";

type Files = Readonly<Record<string, string>>;

const words = ["▁", "a", "b", "▁a", "▁b", "ab", "▁ab"];
const metadata = tinyMetadata(words.map((piece, rank) => ({ piece, score: rank })));
const next = 259 + words.length;
const token = (content: string, more: object = {}) => ({ content, lstrip: false, normalized: false, ...more });

/** What stands around the vocabulary of either tokenizer's file; it has three tokens more than that. */
const around = {
  "tokenizer_config.json": {
    tokenizer_class: "LlamaTokenizer",
    add_bos_token: true,
    add_eos_token: false,
    legacy: false,
    bos_token: "<s>",
    eos_token: token("</s>", { __type: "AddedToken" }),
    pad_token: "[PAD]",
    added_tokens_decoder: {
      1: token("<s>", { special: true }),
      [next]: token("[PAD]", { special: true }),
      [next + 1]: token("<x>", { lstrip: true, rstrip: true }),
      [next + 2]: token("<y>", { single_word: true }),
    },
    additional_special_tokens: ["<y>", token("<x>")],
    chat_template: [
      { name: "default", template: "{{ messages }}" },
      { name: "tool_use", template: "{{ tools }}" },
    ],
    model_max_length: 1e30,
  },
  "added_tokens.json": { "[PAD]": next, "<x>": next + 1, "<y>": next + 2 },
  "special_tokens_map.json": {
    bos_token: token("<s>"),
    eos_token: "</s>",
    pad_token: token("[PAD]"),
    additional_special_tokens: ["<y>", token("<x>")],
  },
  "generation_config.json": {
    bos_token_id: 1,
    eos_token_id: [2, next + 2],
    do_sample: true,
    temperature: 0.6,
    top_k: 40,
    top_p: 0.9,
    min_p: 0.05,
    repetition_penalty: 1.1,
  },
  "chat_template.json": { chat_template: "{{ messages }}" },
};

const model = { ...small, vocabSize: next + 3 };
const weights = new File([new Uint8Array(safetensors(huggingFaceTensors(model)))], "model.safetensors");
const sentencePiece = new File([new Uint8Array(sentencePieceFromGguf(metadata))], "tokenizer.model");
const pieces = metadata.get("tokenizer.ggml.tokens") as readonly string[]; // as tinyMetadata writes it
const tokenizerJson = {
  model: {
    type: "BPE",
    vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    merges: ["▁ a", "▁ b", "a b", "▁a b"],
    unk_token: "<unk>",
    fuse_unk: true,
    byte_fallback: true,
  },
  added_tokens: [0, 1, 2].map((id) => token(pieces[id]!, { id, special: true })),
};

const config = { ...huggingFaceConfig(model), eos_token_id: 2 };
const samples = [
  { ...around, "config.json": config },
  { ...around, "config.json": config, "tokenizer.json": tokenizerJson },
].map(
  (files): Files => Object.fromEntries(Object.entries(files).map(([name, value]) => [name, JSON.stringify(value)])),
);

/** Files that are spoiled; the others have targets of their own. */
const spoiled = Object.keys(around);

export const textFilesTarget: Target = {
  name: "files around a tokenizer",
  sound: samples.map(pack),
  make(random) {
    const files: Record<string, string> = { ...random.pick(samples) };
    const first = random.below(spoiled.length);
    const count = random.chance(0.6) ? 1 : 2 + random.below(3);
    for (const name of [...spoiled, ...spoiled].slice(first, first + count)) {
      if (random.chance(0.1)) delete files[name];
      else files[name] = withTokens(mutatedJson(files[name] ?? "{}", random), random);
    }
    return pack(files);
  },
  async run(input) {
    const files = JSON.parse(new TextDecoder().decode(flatten(input))) as Files; // as `pack` wrote it
    const isSentencePiece = files["tokenizer.json"] === undefined;
    const list = Object.entries(files).map(([name, text]) => new File([text], name));
    await using checkpoint = await openCheckpoint([...list, weights, ...(isSentencePiece ? [sentencePiece] : [])]);
    if (checkpoint.tokenizer !== undefined) use(checkpoint.tokenizer);
  },
};

function pack(files: Files): Pieces {
  return [new TextEncoder().encode(JSON.stringify(files))];
}

/** Sometimes many tokens, or ones of odd names and ids, in place of what a file holds. */
function withTokens(original: string, random: Random): string {
  if (!random.chance(0.15)) return original;
  const count = random.pick([1, 3, 300, 3000]);
  const first = random.pick([0, next, next, next + 1, 2 ** 31, 2 ** 53, -1]);
  const name = (index: number): string =>
    random.pick<(index: number) => string>([
      (i) => `<${i}>`,
      (i) => "a".repeat(i % 200),
      () => random.pick(["", "<s>", "▁", "\ud800", "\0", "constructor", "__proto__"]),
    ])(index);
  const entries = Array.from({ length: count }, (_, index) => [name(index), first + index] as const);
  if (random.chance(0.3)) return JSON.stringify(Object.fromEntries(entries));
  const named = entries.map(([content, id]) => [id, token(content, { special: random.chance(0.5) })] as const);
  return JSON.stringify({
    bos_token: named[0]?.[1],
    eos_token: random.pick(named)[1],
    eos_token_id: entries.map(([, id]) => id),
    additional_special_tokens: named.map(([, one]) => one),
    added_tokens_decoder: Object.fromEntries(named),
  });
}
