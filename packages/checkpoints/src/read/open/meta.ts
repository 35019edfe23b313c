// The files of a checkpoint as Meta publishes it: `consolidated.NN.pth` beside `params.json`, the tokenizer there or a folder above.

import { basename, join } from "node:path";
import { CheckpointError } from "@polyllama/core";
import type { Checkpoint } from "../../checkpoint.ts";
import { type MetaParts, openMeta } from "../meta.ts";
import type { ByteSource } from "../sources/byte-source.ts";
import { readWhole } from "../sources/disk.ts";
import type { FoundTokenizer } from "../text-files.ts";
import { sentencePieceTokenizer } from "../text-files.ts";
import { readTokenizer } from "../tokenizer-files.ts";
import { readTorchFile } from "../torch/torch-file.ts";
import { readJson } from "./hugging-face.ts";
import type { Opener, PathOptions } from "./path.ts";

export const shardName: RegExp = /^consolidated\.(\d\d)\.pth$/i;

/** Whether a file of PyTorch is Meta's: by what stands beside it, or by the names of its tensors. */
export async function isMeta(source: ByteSource, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  if (shardName.test(basename(path))) return true;
  const { tensors } = await readTorchFile(source, signal);
  return tensors.some(({ name }) => name === "tok_embeddings.weight");
}

export async function openMetaFolder(
  folder: string,
  names: readonly string[],
  open: Opener,
  options: PathOptions,
): Promise<Checkpoint> {
  const shards = names.filter((name) => shardName.test(name)).sort();
  for (const [number, name] of shards.entries()) {
    const expected = `consolidated.${String(number).padStart(2, "0")}.pth`;
    if (name.toLowerCase() === expected) continue;
    throw new CheckpointError(
      { file: join(folder, expected) },
      `this file is missing, though ${shards.at(-1)} is there`,
      "Download it into the folder.",
    );
  }
  const parts = await metaParts(folder, folder, options);
  const sources: ByteSource[] = [];
  for (const name of shards) {
    sources.push(await open(join(folder, name)));
    options.onProgress?.({ phase: "opening files", done: sources.length, total: shards.length, unit: "files" });
  }
  return openMeta(sources, parts, options.signal);
}

export async function metaParts(
  name: string,
  folder: string,
  { tokenizer, signal, ignoreTensors, fitVocabulary }: PathOptions,
): Promise<MetaParts> {
  const paramsName = join(folder, "params.json");
  const params = await readJson(paramsName, signal);
  if (params === undefined) {
    throw new CheckpointError(
      { file: paramsName },
      "this file is missing; Meta's files do not say what model they belong to",
      "Put the checkpoint's params.json beside them.",
    );
  }
  return {
    name,
    params,
    paramsName,
    ...(ignoreTensors && { ignoreTensors }),
    ...(fitVocabulary && { fitVocabulary }),
    tokenizer: (size: number) =>
      tokenizer === undefined ? metaTokenizer(folder, signal) : readTokenizer(tokenizer, size, signal),
  };
}

/** Meta's download puts one `tokenizer.model` beside the folders of all sizes. */
async function metaTokenizer(folder: string, signal: AbortSignal | undefined): Promise<FoundTokenizer | undefined> {
  for (const path of [join(folder, "tokenizer.model"), join(folder, "..", "tokenizer.model")]) {
    const bytes = await readWhole(path, signal);
    if (bytes !== undefined) return sentencePieceTokenizer(bytes, path);
  }
  return undefined;
}
