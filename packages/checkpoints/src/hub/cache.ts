// The hub's cache folder, in the layout that its libraries share (huggingface.co/docs/hub/local-cache), so that what
// Python fetched is found here and the other way round:
//
//   models--owner--name/blobs/HASH                  the files, named after the hash that they are verified with
//   models--owner--name/snapshots/COMMIT/PATH       links to them
//   models--owner--name/refs/REVISION               the commit that a branch or tag meant last
//   .locks/models--owner--name/                     who is fetching what
//
// Everything appears in one step, by a rename or a link, so that no reader ever meets half a file.

import { copyFile, link, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { PolyllamaError } from "@polyllama/core";
import { isRelativePath } from "./address.ts";
import type { RepositoryFile } from "./choose.ts";

/** What a failure of the file system means to whoever chose the folder; other errors stay as they are. */
export function folderError(error: unknown, folder: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const problem = ["ENOSPC", "EDQUOT"].includes(code) ? "is on a full disk" : "cannot be written to";
  if (!/^(ENOSPC|EDQUOT|EACCES|EPERM|EROFS|EIO|ENOTDIR|ENOENT|EEXIST)$/.test(code)) return error;
  return new PolyllamaError(
    "ERR_HUB",
    `The hub's cache ${folder} ${problem} (${code}). Mend that, or choose another folder with the option \`cacheFolder\` (on the command line ` +
      "--hub-cache, in the environment HF_HUB_CACHE).",
    { cause: error },
  );
}

/** The places that belong to one repository. */
export interface RepositoryCache {
  readonly snapshot: (commit: string) => string;
  readonly blob: (hash: string) => string;
  /** What has arrived of a file so far; a name of our own, since other libraries append to theirs. */
  readonly partial: (hash: string) => string;
  readonly lock: (hash: string) => string;
  readonly ref: (revision: string) => string;
}

export function repositoryCache(cacheFolder: string, repository: string): RepositoryCache {
  const name = `models--${repository.replace("/", "--")}`;
  const folder = join(cacheFolder, name);
  return {
    snapshot: (commit) => join(folder, "snapshots", commit),
    blob: (hash) => join(folder, "blobs", hash),
    partial: (hash) => join(folder, "blobs", `${hash}.polyllama.incomplete`),
    lock: (hash) => join(cacheFolder, ".locks", name, `${hash}.polyllama.lock`),
    ref: (revision) => join(folder, "refs", ...revision.split("/")),
  };
}

/** Bytes of a file, through links; undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

/** The commit that a revision meant when it was last fetched. */
export async function cachedCommit(cache: RepositoryCache, revision: string): Promise<string | undefined> {
  if (/^[0-9a-f]{40}$/.test(revision)) return revision;
  const text = await readFile(cache.ref(revision), "utf8").catch(() => "");
  return /^[0-9a-f]{40}$/.test(text.trim()) ? text.trim() : undefined;
}

/** The files of a commit that are there whole. */
export async function cachedFiles(cache: RepositoryCache, commit: string): Promise<readonly RepositoryFile[]> {
  const root = cache.snapshot(commit);
  const files: RepositoryFile[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const name of await readdir(join(root, folder)).catch((): string[] => [])) {
      const path = folder === "" ? name : `${folder}/${name}`;
      const found = await stat(join(root, path)).catch(() => undefined); // a link may lead nowhere
      if (found?.isDirectory()) await walk(path);
      else if (found?.isFile() && isRelativePath(path)) files.push({ path, size: found.size });
    }
  };
  await walk("");
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Notes which commit a revision means. */
export async function writeRef(cache: RepositoryCache, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  const path = cache.ref(revision);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${unique()}`;
  await writeFile(temporary, commit);
  await rename(temporary, path);
}

/**
 * Puts a file into a snapshot: as a relative link; where the system allows none (Windows), as a hard link or a copy.
 */
export async function linkIntoSnapshot(blob: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${unique()}`;
  try {
    await symlink(relative(dirname(path), blob), temporary)
      .catch(() => link(blob, temporary))
      .catch(() => copyFile(blob, temporary));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

let made = 0;

function unique(): string {
  return `${process.pid}-${made++}.polyllama.tmp`;
}
