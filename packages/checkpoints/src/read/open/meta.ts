// The files of a checkpoint as Meta publishes it: `consolidated.NN.pth` beside `params.json`, the tokenizer there or a
// folder above.

import { CheckpointError } from "@polyllama/core";
import { type Files, readJson, readWhole } from "../files.ts";
import type { MetaParts } from "../meta.ts";
import type { ByteSource } from "../sources/byte-source.ts";
import { type FoundTokenizer, sentencePieceTokenizer } from "../text-files.ts";
import { readTorchFile } from "../torch/torch-file.ts";
import type { Opening } from "./opening.ts";

export const shardName: RegExp = /^consolidated\.(\d\d)\.pth$/i;

/** Whether the tensors of a file of PyTorch have Meta's names. */
export async function hasMetaNames(source: ByteSource, signal: AbortSignal | undefined): Promise<boolean> {
  const { tensors } = await readTorchFile(source, signal);
  return tensors.some(({ name }) => name === "tok_embeddings.weight");
}

/**
 * The files with weights, in the order of their numbers; none where there are none.
 *
 * @param known Those that are open already, by name.
 * @throws {CheckpointError} where one is missing among them.
 */
export async function openShards(
  { files, open, onProgress }: Opening,
  known: ReadonlyMap<string, ByteSource> = new Map(),
): Promise<readonly ByteSource[]> {
  const listed = (await files.list())?.filter((name) => shardName.test(name)).sort();
  for (const [number, name] of listed?.entries() ?? []) {
    if (name.toLowerCase() === nameOf(number)) continue;
    throw new CheckpointError(
      { file: files.pathOf(nameOf(number)) },
      `this file is missing, though ${listed?.at(-1)} is there`,
      "Download it into the folder.",
    );
  }
  const sources: ByteSource[] = [];
  for (let number = 0; listed === undefined || number < listed.length; number++) {
    const name = listed?.[number] ?? nameOf(number);
    const source = known.get(name) ?? (await open(name));
    if (source === undefined) break; // behind the last one, where nobody lists them
    sources.push(source);
    onProgress?.({ phase: "opening files", done: sources.length, total: listed?.length ?? 0, unit: "files" });
  }
  return sources;
}

function nameOf(number: number): string {
  return `consolidated.${String(number).padStart(2, "0")}.pth`;
}

/** What else makes a checkpoint of Meta's. @throws {CheckpointError} without params.json */
export async function metaParts({ files, tokenizer, signal, ...options }: Opening): Promise<MetaParts> {
  const paramsName = files.pathOf("params.json");
  const params = await readJson(files, "params.json", signal);
  if (params === undefined) {
    throw new CheckpointError(
      { file: paramsName },
      "this file is missing; Meta's files do not say what model they belong to",
      "Put the checkpoint's params.json beside them.",
    );
  }
  const { ignoreTensors, fitVocabulary } = options;
  return {
    name: files.name,
    params,
    paramsName,
    ...(ignoreTensors && { ignoreTensors }),
    ...(fitVocabulary && { fitVocabulary }),
    tokenizer: tokenizer ?? (() => metaTokenizer(files, signal)),
  };
}

/** Meta's download puts one `tokenizer.model` beside the folders of all sizes. */
async function metaTokenizer(files: Files, signal: AbortSignal | undefined): Promise<FoundTokenizer | undefined> {
  for (const name of ["tokenizer.model", "../tokenizer.model"]) {
    const bytes = await readWhole(files, name, signal);
    if (bytes !== undefined) return sentencePieceTokenizer(bytes, files.pathOf(name));
  }
  return undefined;
}
