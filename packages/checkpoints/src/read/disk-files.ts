// The files of a folder on a disk, given the folder or one of them.

import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Files, spelled } from "./files.ts";
import { openIfThere, unreadable } from "./sources/disk.ts";

export async function filesOfPath(path: string): Promise<Files> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const folder = isFolder ? path : dirname(path);
  const given = isFolder ? undefined : basename(path);
  const pathOf = (name: string): string => (name === given ? path : join(folder, name));
  const lists = new Map<string, Promise<readonly string[]>>();
  const list = (within: string): Promise<readonly string[]> => {
    const names = lists.get(within) ?? readdir(join(folder, within));
    lists.set(within, names);
    return names;
  };
  return {
    name: path,
    given,
    folder,
    isLocal: true,
    pathOf,
    async list(within) {
      if (within !== undefined) return list(within).catch(() => []); // which need not be there
      return list(".").catch((error: unknown) => unreadable(folder, error));
    },
    async open(name) {
      const source = await openIfThere(pathOf(name));
      if (source !== undefined || name === given) return source;
      const other = spelled(basename(name), await list(dirname(name)).catch(() => []));
      return other === undefined ? undefined : openIfThere(join(folder, dirname(name), other));
    },
  };
}
