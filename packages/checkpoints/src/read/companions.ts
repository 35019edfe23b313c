// Files that belong to a checkpoint without being weights: what writing another checkpoint of it carries along as they
// are.

import type { Checkpoint } from "../checkpoint.ts";
import type { Files } from "./files.ts";
import { templateFolder, templateNames } from "./template-files.ts";
import type { FoundTokenizer } from "./text-files.ts";

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

/** The checkpoint with the files of the disk that belong to it. */
export async function withCompanions(checkpoint: Checkpoint, files: Files): Promise<Checkpoint> {
  const { kind } = checkpoint;
  if (!files.isLocal || !(kind === "safetensors" || kind === "pytorch" || kind === "meta")) return checkpoint;
  const found = new Map((await namesOf(files, kind === "meta")).map((name) => [name, files.pathOf(name)]));
  const shared = "../tokenizer.model"; // Meta's download puts one beside the folders of all sizes
  if (kind === "meta" && !found.has("tokenizer.model") && (await isThere(files, shared))) {
    found.set("tokenizer.model", files.pathOf(shared));
  }
  return found.size === 0 ? checkpoint : { ...checkpoint, companions: found };
}

async function namesOf(files: Files, isMeta: boolean): Promise<readonly string[]> {
  const there = new Set(await files.list());
  const templates = isMeta ? [] : (await templateNames(files)).map((name) => `${templateFolder}/${name}.jinja`);
  return [...carried.filter((name) => there.has(name)), ...templates];
}

async function isThere(files: Files, name: string): Promise<boolean> {
  const source = await files.open(name);
  await source?.close();
  return source !== undefined;
}

/** The checkpoint with the vocabulary of a tokenizer that took the place of its own. */
export function withTokenizer(
  checkpoint: Checkpoint,
  { file, path, vocabulary = new Map() }: FoundTokenizer,
): Checkpoint {
  const companions = new Map(checkpoint.companions);
  for (const name of ["tokenizer.model", "tokenizer.json", "added_tokens.json"]) companions.delete(name);
  if (file !== undefined && path !== undefined) companions.set(file, path);
  const others = [...checkpoint.metadata].filter(([key]) => !key.startsWith("tokenizer."));
  return { ...checkpoint, companions, metadata: new Map([...others, ...vocabulary]) };
}
