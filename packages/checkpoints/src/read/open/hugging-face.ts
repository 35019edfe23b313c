// The files of a checkpoint in Hugging Face's layout: the weights in one file or in those that an index lists, the
// configuration and what stands around the tokenizer beside them.

import { CheckpointError } from "@polyllama/core";
import { asObject } from "../../json.ts";
import { type Files, readJson } from "../files.ts";
import { type HuggingFaceParts, openPytorch, openSafetensors } from "../hugging-face.ts";
import { huggingFaceTokenizer, readTextFiles } from "../text-files.ts";
import type { Opening } from "./opening.ts";

/** How the files of a checkpoint in Hugging Face's layout are named. */
interface HuggingFaceLayout {
  readonly single: string;
  readonly index: string;
  readonly open: typeof openSafetensors;
}

export const huggingFaceLayouts: Readonly<Record<"safetensors" | "pytorch", HuggingFaceLayout>> = {
  safetensors: { single: "model.safetensors", index: "model.safetensors.index.json", open: openSafetensors },
  pytorch: { single: "pytorch_model.bin", index: "pytorch_model.bin.index.json", open: openPytorch },
};

interface Index extends NonNullable<HuggingFaceParts["index"]> {
  readonly shards: readonly string[];
}

/**
 * The index of several files; undefined where there is none.
 *
 * @throws {CheckpointError} where it names no files of its folder
 */
export async function readIndex(
  files: Files,
  layout: HuggingFaceLayout,
  signal: AbortSignal | undefined,
): Promise<Index | undefined> {
  const path = files.pathOf(layout.index);
  const json = await readJson(files, layout.index, signal);
  if (json === undefined) return undefined;
  const map = asObject(asObject(json)?.["weight_map"]);
  const found = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map ?? {})) {
    // Nothing that would lead elsewhere, as a path or in a URL.
    if (typeof file !== "string" || /^\.{0,2}$|[\\/:?#\p{Cc}]/u.test(file)) {
      throw new CheckpointError(
        { file: path, tensor },
        `${JSON.stringify(file)} is not the name of a file beside the index`,
        "The index is damaged; download it again.",
      );
    }
    found.set(tensor, file);
  }
  if (found.size === 0) {
    throw new CheckpointError({ file: path }, "it has no weight_map", "The index is damaged; download it again.");
  }
  return { name: path, files: found, shards: [...new Set(found.values())].sort() };
}

/** What else makes a checkpoint in this layout. @throws {CheckpointError} without config.json */
export async function huggingFaceParts(opening: Opening): Promise<HuggingFaceParts> {
  const { files, tokenizer, signal, ignoreTensors, fitVocabulary } = opening;
  const configName = files.pathOf("config.json");
  const config = await readJson(files, "config.json", signal);
  if (config === undefined) {
    throw new CheckpointError(
      { file: configName },
      "this file is missing; safetensors files do not say what model they belong to",
      "Put the checkpoint's config.json beside them.",
    );
  }
  const text = await readTextFiles(files, signal);
  return {
    name: files.name,
    config,
    configName,
    ...(ignoreTensors && { ignoreTensors }),
    ...(fitVocabulary && { fitVocabulary }),
    text,
    tokenizer: tokenizer ?? ((size) => huggingFaceTokenizer(files, size, text, signal)),
  };
}
