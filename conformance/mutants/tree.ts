// A copy of the repository to plant faults in: what git tracks or would track, and node_modules made of links. Links to
// the workspace's own packages lead into the copy, so that its tests run its sources and the tree itself is never
// touched. It lies in the system's temporary folder, beside a link to `../shared` where there is one, as tests look for
// that beside the repository.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, readdir, readlink, realpath, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const repository: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");

/** What git says, from the repository's root. @throws where git fails. */
export function git(...rest: readonly string[]): string {
  return execFileSync("git", rest, { cwd: repository, encoding: "utf8", maxBuffer: 2 ** 28 });
}

/** Copies the repository into `folder`. @returns the copy's root. */
export async function copyRepository(folder: string): Promise<string> {
  const root = join(folder, "tree");
  const files = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0").filter(Boolean);
  for (const file of files) {
    if (!existsSync(join(repository, file))) continue; // deleted, and not committed yet
    await mkdir(join(root, dirname(file)), { recursive: true });
    await copyFile(join(repository, file), join(root, file));
  }
  const workspaces = files.filter((file) => /^(?:[^/]+\/){0,2}package\.json$/.test(file)).map(dirname);
  for (const workspace of workspaces) await linkPackages(root, join(workspace, "node_modules"));
  // Kernels that are built already; a kernel with a fault has another name there and is built anew.
  const built = "packages/backend-cuda/.cache/emulation";
  if (existsSync(join(repository, built))) await cp(join(repository, built), join(root, built), { recursive: true });
  const shared = join(repository, "../shared");
  if (existsSync(shared)) await symlink(await realpath(shared), join(folder, "shared"));
  return root;
}

const ownCaches = new Set([".vite", ".vite-temp", ".cache", ".landed-lock"]);

async function linkPackages(root: string, folder: string): Promise<void> {
  const source = join(repository, folder);
  if (!existsSync(source)) return;
  await mkdir(join(root, folder), { recursive: true });
  for (const entry of await readdir(source, { withFileTypes: true })) {
    if (ownCaches.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory() && (entry.name.startsWith("@") || entry.name === ".bin")) await linkPackages(root, path);
    else if (folder.endsWith(".bin")) await symlink(await readlink(join(source, entry.name)), join(root, path));
    else await symlink(await target(root, join(source, entry.name)), join(root, path));
  }
}

/** Where a link in the copy leads: a workspace's package into the copy, others where they are. */
async function target(root: string, path: string): Promise<string> {
  const real = await realpath(path);
  const within = relative(await realpath(repository), real);
  return within.startsWith("..") || within.split(/[/\\]/).includes("node_modules") ? real : join(root, within);
}
