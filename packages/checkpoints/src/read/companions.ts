// Files that belong to a checkpoint without being weights: what writing another checkpoint of it carries along as they are.

import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Checkpoint } from "../checkpoint.ts";
import { templateFolder } from "./template-files.ts";
import { readTokenizer, templateNames, tokenizerPath } from "./tokenizer-files.ts";

const carried = [
  "tokenizer.model",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "generation_config.json",
  "chat_template.jinja",
  "chat_template.json",
];

/**
 * The checkpoint with the files that belong to it, and with the vocabulary of the tokenizer that was asked for.
 *
 * @param location The file or folder that it was opened from.
 * @param tokenizer Path of a tokenizer that took the place of the checkpoint's own.
 */
export async function withCompanions(
  checkpoint: Checkpoint,
  location: string,
  tokenizer?: string,
): Promise<Checkpoint> {
  const { kind } = checkpoint;
  const inFolder = kind === "safetensors" || kind === "pytorch" || kind === "meta";
  const companions = new Map(inFolder ? await findCompanions(location, kind === "meta") : []);
  if (tokenizer === undefined) return companions.size === 0 ? checkpoint : { ...checkpoint, companions };
  for (const name of ["tokenizer.model", "tokenizer.json", "added_tokens.json"]) companions.delete(name);
  const { file, vocabulary = [] } = await readTokenizer(tokenizer, checkpoint.config.vocabSize);
  if (file !== undefined) companions.set(file, await tokenizerPath(tokenizer, checkpoint.config.vocabSize));
  const others = [...checkpoint.metadata].filter(([key]) => !key.startsWith("tokenizer."));
  return { ...checkpoint, companions, metadata: new Map([...others, ...vocabulary]) };
}

async function findCompanions(location: string, isMeta: boolean): Promise<Iterable<readonly [string, string]>> {
  const folder = (await stat(location)).isDirectory() ? location : dirname(location);
  const there = new Set(await readdir(folder));
  const templates = isMeta ? [] : (await templateNames(folder)).map((name) => `${templateFolder}/${name}.jinja`);
  const names = [...carried.filter((name) => there.has(name)), ...templates];
  const found = names.map((name) => [name, join(folder, name)] as const);
  const shared = join(folder, "..", "tokenizer.model"); // Meta's download puts one beside the folders of all sizes
  if (!isMeta || there.has("tokenizer.model") || (await stat(shared).catch(() => undefined)) === undefined)
    return found;
  return [...found, ["tokenizer.model", shared]];
}
