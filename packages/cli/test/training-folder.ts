// A folder with what training needs: text, a vocabulary, the sizes of a small model, dialogues. And the command lines that
// train it within a second or two.

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { uniform } from "@polyllama/test-support/random";
import { trainVocabulary } from "polyllama";

const words = ["the", "old", "cat", "sat", "on", "a", "red", "mat", "and", "saw", "two", "birds"];

/** Sentences of a seed. */
function sentences(count: number, seed: number): readonly string[] {
  const next = uniform(seed);
  const word = (): string => words[Math.floor(next() * words.length)] ?? "";
  return Array.from({ length: count }, () => `${Array.from({ length: 4 + Math.floor(next() * 6) }, word).join(" ")}.`);
}

const sizes = {
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 24,
  max_position_embeddings: 128,
};

const dialogues = [
  {
    messages: [
      { role: "user", content: "the cat" },
      { role: "assistant", content: "sat on a mat" },
    ],
  },
  {
    conversations: [
      { from: "human", value: "two" },
      { from: "gpt", value: "birds" },
    ],
  },
  { instruction: "old", output: "red" },
];

/** @returns the folder's path. */
export async function trainingFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-training-"));
  const lines = sentences(40, 1);
  async function* text() {
    yield* lines;
  }
  const { model } = await trainVocabulary(text(), { vocabSize: 300 });
  const files: Readonly<Record<string, string | Uint8Array>> = {
    "text.txt": lines.join("\n"),
    "held.txt": sentences(3, 2).join("\n"),
    "text.jsonl": lines.map((line) => JSON.stringify({ text: line })).join("\n"),
    "tok.model": model,
    "config.json": JSON.stringify(sizes),
    "dialogues.jsonl": dialogues.map((line) => JSON.stringify(line)).join("\n"),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

/** Arguments of a run of eight steps in a folder of its own. */
export function trainArguments(folder: string, out: string, ...more: readonly string[]): readonly string[] {
  const at = (name: string): string => join(folder, name);
  const model = ["--config", at("config.json"), "--tokenizer", at("tok.model"), "--backend", "reference"];
  const recipe = ["--length", "16", "--batch", "4", "--steps", "8", "--warmup", "2", "--peak", "0.01"];
  return ["train", at("text.txt"), "--documents", "lines", ...model, ...recipe, "--out", at(out), ...more];
}
