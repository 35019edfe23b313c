// The files of a checkpoint in Hugging Face's layout: the weights in one file or in those that an index lists, the configuration and what
// stands around the tokenizer beside them.

import { join } from "node:path";
import { CheckpointError, parseJson } from "@polyllama/core";
import { asObject, MOST_VALUES } from "../../json.ts";
import { type HuggingFaceParts, openPytorch, openSafetensors } from "../hugging-face.ts";
import { readWhole } from "../sources/disk.ts";
import { huggingFaceTokenizer, readTextFiles } from "../text-files.ts";
import { besideFiles, readTokenizer, templateNames } from "../tokenizer-files.ts";
import type { PathOptions } from "./path.ts";

/** How the files of a checkpoint in Hugging Face's layout are named. */
interface HuggingFaceLayout {
  readonly single: string;
  readonly index: string;
  readonly open: typeof openSafetensors;
}

export const huggingFaceLayouts: Readonly<Record<"safetensors" | "pytorch", HuggingFaceLayout>> = {
  safetensors: { single: "model.safetensors", index: "model.safetensors.index.json", open: openSafetensors },
  pytorch: {
    single: "pytorch_model.bin",
    index: "pytorch_model.bin.index.json",
    open: openPytorch,
  },
};

interface Index extends NonNullable<HuggingFaceParts["index"]> {
  readonly shards: readonly string[];
}

export async function readIndex(
  folder: string,
  layout: HuggingFaceLayout,
  signal: AbortSignal | undefined,
): Promise<Index | undefined> {
  const path = join(folder, layout.index);
  const json = await readJson(path, signal);
  if (json === undefined) return undefined;
  const map = asObject(asObject(json)?.["weight_map"]);
  const files = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map ?? {})) {
    if (typeof file !== "string" || file === "" || file === "." || file === ".." || /[\\/:\p{Cc}]/u.test(file)) {
      throw new CheckpointError(
        { file: path, tensor },
        `${JSON.stringify(file)} is not the name of a file beside the index`,
        "The index is damaged; download it again.",
      );
    }
    files.set(tensor, file);
  }
  if (files.size === 0) {
    throw new CheckpointError({ file: path }, "it has no weight_map", "The index is damaged; download it again.");
  }
  return { name: path, files, shards: [...new Set(files.values())].sort() };
}

export async function huggingFaceParts(name: string, folder: string, options: PathOptions): Promise<HuggingFaceParts> {
  const { tokenizer, signal } = options;
  const configName = join(folder, "config.json");
  const config = await readJson(configName, signal);
  if (config === undefined) {
    throw new CheckpointError(
      { file: configName },
      "this file is missing; safetensors files do not say what model they belong to",
      "Put the checkpoint's config.json beside them.",
    );
  }
  const read = besideFiles(folder, signal);
  const text = await readTextFiles(read, join(folder, "/"), () => templateNames(folder));
  return {
    name,
    config,
    configName,
    ...(options.ignoreTensors && { ignoreTensors: options.ignoreTensors }),
    ...(options.fitVocabulary && { fitVocabulary: true }),
    text,
    tokenizer: (size) =>
      tokenizer === undefined
        ? huggingFaceTokenizer(read, size, text, join(folder, "/"))
        : readTokenizer(tokenizer, size, signal),
  };
}

export async function readJson(path: string, signal: AbortSignal | undefined): Promise<unknown> {
  const bytes = await readWhole(path, signal);
  return bytes === undefined ? undefined : parseJson(new TextDecoder().decode(bytes), path, MOST_VALUES);
}
