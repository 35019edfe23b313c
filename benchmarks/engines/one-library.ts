// node-llama-cpp with one of its libraries of kernels alone. It ships one for each kind of processor and takes the best
// that is beside its binding; a copy of its two packages with only one library there, and links to all else that it
// imports, leaves no choice.

import { cp, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const modules = fileURLToPath(new URL("../node_modules/", import.meta.url));

/** Names of libraries by the instruction sets of the cpu backend: the best that stays within each. */
const libraries: ReadonlyMap<string, string> = new Map([
  ["avx512_vnni", "zen4"],
  ["avx_vnni", "alderlake"],
  ["avx2", "haswell"],
  ["plain", "x64"],
]);

/**
 * Makes the copy in a folder, and gives the URL to import it from.
 *
 * @throws {Error} for an instruction set that no library is known for
 */
export async function withOneLibrary(folder: string, instructionSet: string): Promise<string> {
  const library = libraries.get(instructionSet);
  if (library === undefined) throw new Error(`Which library of node-llama-cpp is for ${instructionSet} is not known.`);
  const copy = join(folder, `node-llama-cpp-${library}`, "node_modules");
  await rm(copy, { recursive: true, force: true });
  await mkdir(join(copy, "@node-llama-cpp"), { recursive: true });
  for (const name of await readdir(modules)) {
    if (name === "node-llama-cpp") await cp(join(modules, name), join(copy, name), { recursive: true });
    else if (name !== "@node-llama-cpp") await symlink(join(modules, name), join(copy, name));
  }
  const own = "@node-llama-cpp/linux-x64";
  const keep = (file: string) => !/libggml-cpu-.*\.so$/.test(file) || file.endsWith(`libggml-cpu-${library}.so`);
  await cp(join(modules, own), join(copy, own), { recursive: true, filter: keep });
  return pathToFileURL(join(copy, "node-llama-cpp/dist/index.js")).href;
}
