// A trained chat model as the files that the package embeds: weights in f16, configuration, tokenizer and chat template,
// together no larger than a package should be.

import { readdir, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { openCheckpoint, writeSafetensors } from "polyllama";

/** Most bytes of the folder. */
const mostBytes = 12_000_000;

/** What every embedded model has. */
const needed: readonly string[] = ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.model"];

/** Sizes of the files that were written, by name. */
export type PackedFiles = ReadonlyMap<string, number>;

/**
 * Writes a checkpoint of any kind as a folder to embed.
 *
 * @throws {RangeError} for a model that is too large, or lacks a tokenizer or chat template; nothing is left behind.
 */
export async function packModel(from: string, to: string, most: number = mostBytes): Promise<PackedFiles> {
  const folder = resolve(to);
  const unchecked = `${folder}.unchecked`;
  await rm(unchecked, { recursive: true, force: true });
  try {
    await using model = await openCheckpoint(from);
    await writeSafetensors(unchecked, model, { format: "f16" });
    const names = (await readdir(unchecked)).sort();
    const missing = needed.filter((name) => !names.includes(name));
    if (missing.length > 0) throw new RangeError(`${from} has no ${missing.join(", ")}; give a model that chats.`);
    const files = new Map<string, number>();
    for (const name of names) files.set(name, (await stat(join(unchecked, name))).size);
    const bytes = [...files.values()].reduce((sum, size) => sum + size, 0);
    if (bytes > most) throw new RangeError(`${from} becomes ${bytes} bytes, more than ${most}; train a smaller model.`);
    await rm(folder, { recursive: true, force: true });
    await rename(unchecked, folder);
    return files;
  } finally {
    await rm(unchecked, { recursive: true, force: true });
  }
}
