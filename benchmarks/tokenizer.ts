// `npm run bench:tokenizer`: encoding and decoding of English and Chinese text, line by line, beside llama-tokenizer-js
// and
// @huggingface/tokenizers; all three with Llama's vocabulary, which llama-tokenizer-js carries, in one process and in
// turn. The ids must be equal. Then, where Python has SentencePiece, training of 8,000 pieces on 20 MB by both.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tokenizerFromGguf, tokenizerFromSentencePiece } from "@polyllama/core";
import { trainVocabulary } from "@polyllama/vocabulary";
import { readArguments } from "../scripts/arguments.mjs";
import { installEngines, median } from "./support.ts";

const corpora = fileURLToPath(new URL("../../shared/data/corpora/", import.meta.url));
const options = readArguments("npm run bench:tokenizer", "Speed of tokenizers on English and Chinese text.", {
  english: { type: "string", default: join(corpora, "en"), about: "text file, or folder of them" },
  chinese: { type: "string", default: join(corpora, "zh"), about: "text file, or folder of them" },
  bytes: { type: "string", default: "1000000", about: "bytes of each to encode" },
  "training-bytes": { type: "string", default: "20000000", about: "bytes to train on" },
  rounds: { type: "string", default: "5", about: "rounds, of which medians are taken" },
});
const rounds = Number(options.rounds);
for (const [name, path] of [["english", options.english] as const, ["chinese", options.chinese] as const]) {
  if (existsSync(path)) continue;
  console.error(`There is no ${path}; name a text file, or a folder of them, with --${name}.`);
  process.exit(2);
}
installEngines("llama-tokenizer-js");

interface Engine {
  readonly name: string;
  encode(text: string): readonly number[];
  decode(ids: readonly number[]): string;
}

const engines = await createEngines();
console.log(`Llama's vocabulary, medians of ${rounds} rounds; load average ${loadavg()[0]?.toFixed(1)}`);
console.log("| text | engine | encode MB/s | decode MB/s | ids |");
console.log("|---|---|---|---|---|");
for (const [language, path] of [["English", options.english] as const, ["Chinese", options.chinese] as const]) {
  compare(language, readLines(path, Number(options.bytes)));
}
await train(
  readLines(options.english, Number(options["training-bytes"]) / 2),
  readLines(options.chinese, Number(options["training-bytes"]) / 2),
);

function compare(language: string, lines: readonly string[]): void {
  const megabytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0) / 1e6;
  const [ours] = engines;
  const ids = lines.map((line) => ours!.encode(line));
  const samples = engines.map(() => ({ encode: [] as number[], decode: [] as number[] }));
  // and warm
  const equal = engines.map((engine) => lines.every((line, i) => String(engine.encode(line)) === String(ids[i])));
  for (const engine of engines) for (const line of ids) engine.decode(line);
  for (let round = 0; round < rounds; round++) {
    for (const [i, engine] of engines.entries()) {
      samples[i]!.encode.push(megabytes / time(() => lines.map((line) => engine.encode(line))));
      samples[i]!.decode.push(megabytes / time(() => ids.map((line) => engine.decode(line))));
    }
  }
  const figures = samples.map(({ encode, decode }) => ({ encode: median(encode), decode: median(decode) }));
  for (const [i, { encode, decode }] of figures.entries()) {
    const same = i === 0 ? "" : equal[i] ? "equal" : "DIFFERENT";
    console.log(`| ${language} | ${engines[i]!.name} | ${encode.toFixed(1)} | ${decode.toFixed(1)} | ${same} |`);
  }
  const [own, ...others] = figures;
  const ratio = (of: "encode" | "decode"): string =>
    (own![of] / Math.max(...others.map((other) => other[of]))).toFixed(1);
  console.log(`| ${language} | **times the faster of both** | ${ratio("encode")} | ${ratio("decode")} | |`);
}

/** Seconds. */
function time(work: () => unknown): number {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}

/**
 * Lines that are not empty, of one file or of a folder's text files, the first of them until there are so many bytes.
 */
function readLines(path: string, bytes: number): string[] {
  const files = path.endsWith(".txt")
    ? [path]
    : readdirSync(path)
        .filter((name) => name.endsWith(".txt"))
        .sort()
        .map((name) => join(path, name));
  const lines: string[] = [];
  let left = bytes;
  for (const file of files) {
    for (const line of readFileSync(file, "utf8").split(/\r?\n/)) {
      if (left <= 0) return lines;
      if (line === "") continue;
      lines.push(line);
      left -= Buffer.byteLength(line);
    }
  }
  return lines;
}

async function createEngines(): Promise<readonly Engine[]> {
  const { default: theirs } = await import("llama-tokenizer-js");
  const { Tokenizer } = await import("@huggingface/tokenizers");
  const pieces = [...theirs.vocabById];

  const kinds = pieces.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1));
  const scores = pieces.map((_, id) => (id < 259 ? 0 : 259 - id)); // Llama's pieces stand in the order of their merges
  const ours = tokenizerFromGguf(
    new Map<string, unknown>([
      ["tokenizer.ggml.model", "llama"],
      ["tokenizer.ggml.tokens", pieces],
      ["tokenizer.ggml.scores", scores],
      ["tokenizer.ggml.token_type", kinds],
    ]),
    "Llama's vocabulary",
  );
  const huggingFace = new Tokenizer(tokenizerJson(pieces), { tokenizer_class: "LlamaTokenizer" });
  return [
    { name: "polyllama", encode: (text) => ours.encode(text, { bos: false }), decode: (ids) => ours.decode(ids) },
    {
      name: "llama-tokenizer-js",
      encode: (text) => theirs.encode(text, false),
      decode: (ids) => theirs.decode(ids, false),
    },
    {
      name: "@huggingface/tokenizers",
      encode: (text) => huggingFace.encode(text, { add_special_tokens: false }).ids,
      decode: (ids) => huggingFace.decode(ids, { skip_special_tokens: true }),
    },
  ];
}

/** Llama's tokenizer.json, as converting its tokenizer.model makes it. */
function tokenizerJson(pieces: readonly string[]): object {
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const merges = pieces.slice(259).flatMap((piece) => {
    const characters = Array.from(piece);
    const splits = characters.slice(1).map((_, at) => [characters.slice(0, at + 1), characters.slice(at + 1)] as const);
    return splits
      .map(([left, right]) => [left.join(""), right.join("")] as const)
      .filter(([left, right]) => left in vocab && right in vocab)
      .map(([left, right]) => `${left} ${right}`);
  });
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: pieces.slice(0, 3).map((content, id) => ({ id, content, ...added })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges,
    },
  };
}

async function train(...parts: readonly (readonly string[])[]): Promise<void> {
  // Every hundredth line is held out.
  const all = parts.flat();
  const lines = all.filter((_, i) => i % 100 !== 0);
  const held = all.filter((_, i) => i % 100 === 0);
  const start = performance.now();
  const { model } = await trainVocabulary(lines, { vocabSize: 8000 });
  const ours = (performance.now() - start) / 1000;
  const megabytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0) / 1e6;
  console.log(`\nTraining of 8,000 pieces on ${megabytes.toFixed(1)} MB: polyllama ${ours.toFixed(1)} s`);

  const python = ["python3", "/usr/bin/python3"].find(
    (name) => spawnSync(name, ["-c", "import sentencepiece"]).status === 0,
  );
  if (python === undefined) {
    console.log("SentencePiece was not run: Python has no module sentencepiece (Debian: python3-sentencepiece).");
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), "polyllama-bench-"));
  try {
    writeFileSync(join(folder, "lines.txt"), lines.join("\n"));
    const script = `
import time, sentencepiece as spm
start = time.time()
spm.SentencePieceTrainer.train(input="lines.txt", model_prefix="theirs", vocab_size=8000, model_type="bpe",
    character_coverage=0.9995, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True,
    normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
print(time.time() - start)`;
    const { stdout, stderr, status } = spawnSync(python, ["-c", script], { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    const theirs = Number(stdout);
    const tokens = [model, readFileSync(join(folder, "theirs.model"))].map((bytes) => {
      const tokenizer = tokenizerFromSentencePiece(bytes, "trained");
      return held.reduce((sum, line) => sum + tokenizer.encode(line, { bos: false }).length, 0);
    });
    console.log(
      `SentencePiece ${theirs.toFixed(1)} s, ${(ours / theirs).toFixed(2)} of its time; on ${held.length} held-out lines ` +
        `${tokens[0]} tokens beside ${tokens[1]}, ${(tokens[0]! / tokens[1]!).toFixed(4)}`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
