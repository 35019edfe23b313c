// The limit of the cache: the entries that were not used for longest go, until the rest fits. Entries in use are
// spared, as removing them would free nothing; should one come into use just then, its user still has its link.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { packedFile } from "./content.ts";
import { manifestFile, removeEntry } from "./entry.ts";

/** @throws What the file system throws. */
export async function evict(root: string, limit: number): Promise<void> {
  const names = await readdir(root);
  const inUse = new Set<string>();
  for (const name of names) {
    if (!name.startsWith("use-")) continue;
    for (const key of await readdir(join(root, name)).catch((): string[] => [])) inUse.add(key);
  }
  const entries: { readonly name: string; readonly bytes: number; readonly used: number }[] = [];
  for (const name of names) {
    if (!/^[0-9a-f]{64}$/.test(name)) continue;
    try {
      const [data, manifest] = [await stat(join(root, name, packedFile)), await stat(join(root, name, manifestFile))];
      entries.push({ name, bytes: data.size, used: manifest.mtimeMs });
    } catch {
      // Another process is removing it.
    }
  }
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { name, bytes } of entries.sort((a, b) => a.used - b.used)) {
    if (total <= limit) return;
    if (inUse.has(name)) continue;
    await removeEntry(join(root, name));
    total -= bytes;
  }
}
