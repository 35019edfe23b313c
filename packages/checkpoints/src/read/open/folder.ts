// A folder: in Hugging Face's layout or Meta's, or with a single file to open, or with something that is explained.

import { CheckpointError } from "@polyllama/core";
import type { Checkpoint } from "../../checkpoint.ts";
import type { Files } from "../files.ts";
import { handCut } from "../hand-cut.ts";
import { openMeta } from "../meta.ts";
import type { ByteSource } from "../sources/byte-source.ts";
import { openOne } from "./file.ts";
import { huggingFaceLayouts, huggingFaceParts, readIndex } from "./hugging-face.ts";
import { metaParts, openShards, shardName } from "./meta.ts";
import type { Opening } from "./opening.ts";

/** @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG`, `ERR_TOKENIZER` */
export async function openFolder(opening: Opening): Promise<Checkpoint> {
  const { files, signal, onProgress } = opening;
  const names = await files.list();
  const [gguf, ...more] = ggufsIn(names ?? []);
  if (gguf !== undefined && more.length === 0) return openOne(gguf, opening);
  for (const layout of Object.values(huggingFaceLayouts)) {
    const single = await opening.open(layout.single);
    if (single !== undefined) {
      return layout.open(new Map([[layout.single, single]]), await huggingFaceParts(opening), signal);
    }
    const index = await readIndex(files, layout, signal);
    if (index === undefined) continue;
    const parts = await huggingFaceParts(opening);
    const sources = new Map<string, ByteSource>();
    for (const shard of index.shards) {
      const source = await opening.open(shard);
      if (source === undefined) {
        throw new CheckpointError(
          { file: files.pathOf(shard) },
          `this file is missing, one of the ${index.shards.length} that ${layout.index} lists`,
          "Download it into the folder.",
        );
      }
      sources.set(shard, source);
      onProgress?.({ phase: "opening files", done: sources.size, total: index.shards.length, unit: "files" });
    }
    return layout.open(sources, { ...parts, index }, signal);
  }
  const shards = await openShards(opening);
  if (shards.length > 0) return openMeta(shards, await metaParts(opening), signal);
  if (names === undefined) {
    throw new CheckpointError(
      { file: files.pathOf("model.safetensors") },
      "there is neither this file nor an index of several",
      "Give a folder in Hugging Face's layout, or a single file.",
    );
  }
  const only = onlySafetensors(names);
  if (only !== undefined) return openOne(only, opening);
  throw handCut(files.name, undefined, names) ?? nothingIn(files, names);
}

/** The single safetensors file, of any name, of a folder that holds nothing else to open. */
function onlySafetensors(names: readonly string[]): string | undefined {
  if (ggufsIn(names).length > 0) return undefined;
  const found = names.filter((name) => /\.safetensors$/i.test(name));
  return found.length === 1 && !found[0]!.startsWith("adapter_") ? found[0] : undefined;
}

/** GGUF files in a folder that has nothing else to open: all of one model's parts count as its first. */
function ggufsIn(names: readonly string[]): readonly string[] {
  const others = [...Object.values(huggingFaceLayouts).flatMap(({ single, index }) => [single, index])];
  if (names.some((name) => others.includes(name) || shardName.test(name))) return [];
  return names.filter((name) => /\.gguf$/i.test(name) && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(name)).sort();
}

function nothingIn(files: Files, names: readonly string[]): CheckpointError {
  const folder = files.name;
  const ggufs = ggufsIn(names);
  if (ggufs.length > 0) {
    const shown = ggufs.length > 20 ? [...ggufs.slice(0, 20), "..."] : ggufs;
    return new CheckpointError(
      { file: folder },
      `the folder holds ${ggufs.length} GGUF files: ${shown.join(", ")}`,
      `Give the path of one, such as ${files.pathOf(ggufs[0]!)}`,
    );
  }
  const shards = names.filter((name) => /-\d{5}-of-\d{5}\.(?:safetensors|bin)$/i.test(name));
  if (shards.length > 0) {
    const index = shards.some((name) => /bin$/i.test(name))
      ? "pytorch_model.bin.index.json"
      : "model.safetensors.index.json";
    return new CheckpointError(
      { file: folder },
      `the folder holds ${shards.length} files of a checkpoint, but not the index that lists them`,
      `Download ${index} into it.`,
    );
  }
  if (names.some((name) => name.startsWith("adapter_model."))) {
    return new CheckpointError(
      { file: folder },
      "the folder holds a LoRA adapter and not the model that it belongs to",
      "Open its model, and this beside it (openAdapter; --adapter on the command line).",
    );
  }
  return new CheckpointError(
    { file: folder },
    "the folder has no model.safetensors, pytorch_model.bin, index of either, or consolidated.00.pth",
    "Give a folder in Hugging Face's or Meta's layout, one with a GGUF file, or a file.",
  );
}
