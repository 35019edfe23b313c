// A folder: in Hugging Face's layout or Meta's, or with a single file to open, or with something that is explained.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "@polyllama/core";
import type { Checkpoint } from "../../checkpoint.ts";
import { handCut } from "../hand-cut.ts";
import type { ByteSource } from "../sources/byte-source.ts";
import { unreadable } from "../sources/disk.ts";
import { called, openOne } from "./file.ts";
import { huggingFaceLayouts, huggingFaceParts, readIndex } from "./hugging-face.ts";
import { openMetaFolder, shardName } from "./meta.ts";
import type { Opener, PathOptions } from "./path.ts";

export async function openFolder(folder: string, open: Opener, options: PathOptions): Promise<Checkpoint> {
  const { signal, onProgress } = options;
  const names = await readdir(folder).catch((error: unknown) => unreadable(folder, error));
  for (const layout of Object.values(huggingFaceLayouts)) {
    const single = called(layout.single, names);
    if (single !== undefined) {
      const parts = await huggingFaceParts(folder, folder, options);
      const source = await open(join(folder, single));
      return layout.open(new Map([[layout.single, source]]), parts, signal);
    }
    const index = await readIndex(folder, layout, signal);
    if (index === undefined) continue;
    const parts = await huggingFaceParts(folder, folder, options);
    const sources = new Map<string, ByteSource>();
    for (const shard of index.shards) {
      const name = called(shard, names);
      if (name === undefined) {
        throw new CheckpointError(
          { file: join(folder, shard) },
          `this file is missing, one of the ${index.shards.length} that ${layout.index} lists`,
          "Download it into the folder.",
        );
      }
      sources.set(shard, await open(join(folder, name)));
      onProgress?.({ phase: "opening files", done: sources.size, total: index.shards.length, unit: "files" });
    }
    return layout.open(sources, { ...parts, index }, signal);
  }
  if (names.some((name) => shardName.test(name))) return openMetaFolder(folder, names, open, options);
  const only = onlySafetensors(names);
  if (only !== undefined) return openOne(join(folder, only), open, options);
  throw handCut(folder, undefined, names) ?? nothingIn(folder, names);
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

/** The one GGUF file that a folder holds, where it is a folder and holds one. */
export async function onlyGguf(folder: string): Promise<string | undefined> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) return undefined;
  const [name, ...more] = ggufsIn(await readdir(folder).catch((error: unknown) => unreadable(folder, error)));
  return name === undefined || more.length > 0 ? undefined : join(folder, name);
}

function nothingIn(folder: string, names: readonly string[]): CheckpointError {
  const ggufs = ggufsIn(names);
  if (ggufs.length > 0) {
    const shown = ggufs.length > 20 ? [...ggufs.slice(0, 20), "..."] : ggufs;
    return new CheckpointError(
      { file: folder },
      `the folder holds ${ggufs.length} GGUF files: ${shown.join(", ")}`,
      `Give the path of one, such as ${join(folder, ggufs[0]!)}`,
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
      "Merge it into its model (merge_and_unload() of peft) and save that.",
    );
  }
  return new CheckpointError(
    { file: folder },
    "the folder has no model.safetensors, pytorch_model.bin, index of either, or consolidated.00.pth",
    "Give a folder in Hugging Face's or Meta's layout, one with a GGUF file, or a file.",
  );
}
