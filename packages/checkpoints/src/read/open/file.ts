// One file that is named: what it is is decided by its first bytes; the others that belong to it are found beside it.

import { CheckpointError } from "@polyllama/core";
import type { Checkpoint } from "../../checkpoint.ts";
import { missing } from "../files.ts";
import { openGguf } from "../gguf.ts";
import { handCut, isPiece } from "../hand-cut.ts";
import { openLlama2c, readLlama2cHeader } from "../llama2c.ts";
import { openMeta } from "../meta.ts";
import { recognize } from "../recognize.ts";
import type { ByteSource } from "../sources/byte-source.ts";
import { llama2cTokenizer } from "../tokenizer-files.ts";
import { huggingFaceLayouts, huggingFaceParts, readIndex } from "./hugging-face.ts";
import { hasMetaNames, metaParts, openShards, shardName } from "./meta.ts";
import type { Opening } from "./opening.ts";

/** @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG`, `ERR_TOKENIZER` */
export async function openOne(name: string, opening: Opening): Promise<Checkpoint> {
  const { files, tokenizer, signal, ignoreTensors, fitVocabulary } = opening;
  const source = await opening.open(name);
  if (source === undefined || isPiece(name)) {
    const beside = await files.list().catch(() => undefined);
    const explained = handCut(files.pathOf(name), name, beside ?? []);
    if (explained !== undefined) throw explained;
  }
  if (source === undefined) return missing(files.pathOf(name));
  const kind = recognize(await source.read(0, Math.min(64, source.size), signal), source);
  if (kind === "gguf") {
    const given = tokenizer && (async (size: number) => (await tokenizer(size)).tokenizer);
    return openGguf(await splitParts(name, source, opening), given, signal, ignoreTensors, fitVocabulary);
  }
  if (kind === "llama2.c") {
    const header = await readLlama2cHeader(source, signal);
    const { vocabSize } = header.config;
    const found = tokenizer ? await tokenizer(vocabSize) : await llama2cTokenizer(files, vocabSize, signal);
    return openLlama2c(source, header, found, fitVocabulary);
  }
  if (kind === "pytorch" && shardName.test(name)) {
    return openMeta(await openShards(opening, new Map([[name, source]])), await metaParts(opening), signal);
  }
  if (kind === "pytorch" && (await hasMetaNames(source, signal))) {
    return openMeta([source], await metaParts(opening), signal);
  }
  const layout = huggingFaceLayouts[kind];
  const index = await readIndex(files, layout, signal);
  if (index !== undefined && index.shards.length > 1 && index.shards.includes(name)) {
    throw new CheckpointError(
      { file: files.pathOf(name) },
      `this is one of the ${index.shards.length} files of a checkpoint`,
      `Give the folder: ${files.folder}`,
    );
  }
  return layout.open(new Map([[name, source]]), await huggingFaceParts(opening), signal);
}

/** All parts of a split GGUF file, in order, given any one of them; else the file alone. */
async function splitParts(name: string, source: ByteSource, { files, open }: Opening): Promise<readonly ByteSource[]> {
  const [, stem, own, of = "1"] = /^(.+)-(\d{5})-of-(\d{5})\.gguf$/i.exec(name) ?? [];
  if (Number(of) < 2) return [source];
  const names = Array.from({ length: Number(of) }, (_, i) => `${stem}-${String(i + 1).padStart(5, "0")}-of-${of}.gguf`);
  const parts: ByteSource[] = [];
  const lacking: string[] = [];
  for (const [index, part] of names.entries()) {
    const found = index + 1 === Number(own) ? source : await open(part);
    if (found === undefined) lacking.push(part);
    else parts.push(found);
  }
  if (lacking.length === 0) return parts;
  throw new CheckpointError(
    { file: files.pathOf(name) },
    `of its ${names.length} parts ${lacking.length} are missing: ${lacking.slice(0, 20).join(", ")}`,
    "Download them into the folder.",
  );
}
