// `npm run build:kernels -- cpu`: writes native/structs.h, compiles the sources in native/ for every target, or those
// that are named behind, and keeps the libraries compressed in libraries/. Needs clang 14 and lld 14 (Debian's clang-14
// and lld-14). With `--structs-only` no more is written than the header.

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, constants } from "node:zlib";
import { libraryFolder } from "../src/native/library.ts";
import { structsHeader } from "./structs.ts";
import { fileName, nativeFolder, sourcesOf, type Target, targets, type Unit } from "./targets.ts";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../.cache/", import.meta.url));

async function build(target: Target): Promise<void> {
  const folder = join(cache, target.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const define = `-DPOLYLLAMA_SOURCES="${sourcesOf(target)}"`;
  const object = (unit: Unit): string => join(folder, `${unit.name}.o`);
  const queue = [...target.units];
  const compile = async (): Promise<void> => {
    for (let unit = queue.shift(); unit !== undefined; unit = queue.shift()) {
      const command = [
        ...target.machine,
        ...target.flags,
        ...unit.flags,
        define,
        "-c",
        unit.source,
        "-o",
        object(unit),
      ];
      await run(target.compiler, command, { cwd: nativeFolder });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compile));
  const result = join(folder, "library.bin");
  const { linker = target.compiler, machine, link } = target;
  const command = [...(linker === target.compiler ? machine : []), ...link, ...target.units.map(object)];
  await run(linker, [...command, "-o", result], { cwd: nativeFolder });
  const bytes = readFileSync(result);
  const file = fileName(target);
  const kept = file.endsWith(".br") ? compressed(bytes) : bytes;
  writeFileSync(join(libraryFolder, file), kept);
  console.log(`${file}: ${bytes.length} bytes, ${kept.length} in the package`);
}

function compressed(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
}

const names = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const unknown = names.filter((name) => targets.every((target) => target.name !== name));
if (unknown.length > 0) {
  throw new Error(`No target ${unknown.join(", ")}; there are ${targets.map(({ name }) => name).join(", ")}.`);
}
writeFileSync(join(nativeFolder, "structs.h"), structsHeader());
if (!process.argv.includes("--structs-only")) {
  mkdirSync(libraryFolder, { recursive: true });
  for (const target of targets) if (names.length === 0 || names.includes(target.name)) await build(target);
}
