// One file that is named: what it is is decided by its first bytes; the others that belong to it are found beside it.

import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "@polyllama/core";
import type { Checkpoint } from "../../checkpoint.ts";
import { openGguf } from "../gguf.ts";
import { openLlama2c, readLlama2cHeader } from "../llama2c.ts";
import { openMeta } from "../meta.ts";
import { recognize } from "../recognize.ts";
import type { ByteSource } from "../sources/byte-source.ts";
import { llama2cTokenizer, readTokenizer } from "../tokenizer-files.ts";
import { huggingFaceLayouts, huggingFaceParts, readIndex } from "./hugging-face.ts";
import { isMeta, metaParts, openMetaFolder, shardName } from "./meta.ts";
import type { Opener, PathOptions } from "./path.ts";

export async function openOne(path: string, open: Opener, options: PathOptions): Promise<Checkpoint> {
  const { tokenizer, signal, fitVocabulary } = options;
  const source = await open(path);
  const kind = recognize(await source.read(0, Math.min(64, source.size), signal), source);
  if (kind === "gguf") {
    const given =
      tokenizer === undefined
        ? undefined
        : async (size: number) => (await readTokenizer(tokenizer, size, signal)).tokenizer;
    return openGguf(await splitParts(path, source, open), given, signal, options.ignoreTensors, fitVocabulary);
  }
  if (kind === "llama2.c") {
    const header = await readLlama2cHeader(source, signal);
    const found = await llama2cTokenizer(path, header.config.vocabSize, tokenizer, signal);
    return openLlama2c(source, header, found, fitVocabulary);
  }
  if (kind === "pytorch" && (await isMeta(source, path, signal))) {
    const siblings = shardName.test(basename(path)) ? await readdir(dirname(path)) : [];
    const numbered = siblings.some((name) => shardName.test(name) && name !== basename(path));
    if (!numbered) return openMeta([source], await metaParts(path, dirname(path), options), signal);
    await source.close();
    return openMetaFolder(dirname(path), siblings, open, options);
  }
  const layout = huggingFaceLayouts[kind];
  const index = await readIndex(dirname(path), layout, signal);
  if (index !== undefined && index.shards.length > 1 && index.shards.includes(basename(path))) {
    throw new CheckpointError(
      { file: path },
      `this is one of the ${index.shards.length} files of a checkpoint`,
      `Give the folder: ${dirname(path)}`,
    );
  }
  const parts = await huggingFaceParts(path, dirname(path), options);
  return layout.open(new Map([[basename(path), source]]), parts, signal);
}

/** All parts of a split GGUF file, in order, given any one of them; else the file alone. */
async function splitParts(path: string, source: ByteSource, open: Opener): Promise<readonly ByteSource[]> {
  const [, stem, own, of = "1"] = /^(.+)-(\d{5})-of-(\d{5})\.gguf$/i.exec(basename(path)) ?? [];
  if (Number(of) < 2) return [source];
  const names = Array.from({ length: Number(of) }, (_, i) => `${stem}-${String(i + 1).padStart(5, "0")}-of-${of}.gguf`);
  const there = await readdir(dirname(path));
  const missing = names.filter((name) => called(name, there) === undefined);
  if (missing.length > 0) {
    throw new CheckpointError(
      { file: path },
      `of its ${names.length} parts ${missing.length} are missing: ${missing.slice(0, 20).join(", ")}`,
      "Download them into the folder.",
    );
  }
  const parts: ByteSource[] = [];
  for (const [index, name] of names.entries()) {
    parts.push(index + 1 === Number(own) ? source : await open(join(dirname(path), called(name, there) ?? name)));
  }
  return parts;
}

/** The file of that name, else the one that is spelled in capitals. */
export function called(name: string, names: readonly string[]): string | undefined {
  return names.find((other) => other === name) ?? names.find((other) => other.toLowerCase() === name.toLowerCase());
}
