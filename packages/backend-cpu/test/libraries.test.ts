// The committed libraries belong to the sources beside them, and ask no more of a system than every one of its kind
// has. Neither needs a compiler.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { structsHeader } from "../scripts/structs.ts";
import { fileName, nativeFolder, sourcesOf, targets } from "../scripts/targets.ts";
import { libraryFolder, unpackLibrary } from "../src/native/library.ts";
import { elfNeeds } from "./elf.ts";

/** What libraries give to their host. */
const functions = [
  "polyllama_address",
  "polyllama_allocate",
  "polyllama_close",
  "polyllama_free",
  "polyllama_map",
  "polyllama_open",
  "polyllama_run",
  "polyllama_set_name",
  "polyllama_set_runs_here",
  "polyllama_sources",
  "polyllama_structs",
];

/** What every C library of Linux has, glibc 2.28 and musl among them, under the same name and with the same meaning. */
const everywhereOnLinux = [
  "getauxval",
  "madvise",
  "memcpy",
  "memmove",
  "memset",
  "mmap",
  "munmap",
  "pread",
  "pthread_create",
  "pthread_join",
  "syscall",
];

test("the header has the declarations of structs.ts", () => {
  expect(readFileSync(join(nativeFolder, "structs.h"), "utf8")).toBe(structsHeader()); // if not: npm run build:kernels
});

test("there is a library for each target, and no other", () => {
  expect(readdirSync(libraryFolder).sort()).toEqual(targets.map(fileName).sort());
});

describe.each(targets)("the library for $name", (target) => {
  const packed = readFileSync(join(libraryFolder, fileName(target)));
  const bytes = fileName(target).endsWith(".br") ? unpackLibrary(target.name) : packed;

  test("was built of these sources, by these flags", () => {
    const said = /polyllama-library:([^:]+:[^:]+):/.exec(Buffer.from(bytes).toString("latin1"))?.[1];
    expect(said).toBe(sourcesOf(target)); // if not: npm run build:kernels -- cpu
  });

  test("is below a megabyte in the package", () => {
    expect((fileName(target).endsWith(".br") ? packed : brotliCompressSync(packed)).length).toBeLessThan(1_000_000);
  });

  test.runIf(target.name.startsWith("linux-"))("names no library and no version, and needs what all have", () => {
    const needs = elfNeeds(bytes);
    expect(`linux-${needs.machine}`).toBe(target.name);
    expect(needs.libraries).toEqual([]);
    expect(needs.versions).toEqual([]);
    expect(needs.undefined.filter((name) => !everywhereOnLinux.includes(name))).toEqual([]);
    expect([...needs.defined].sort()).toEqual(functions);
  });
});
