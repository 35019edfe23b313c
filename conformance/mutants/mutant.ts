// A planted fault is a piece of a package's source and what stands there instead. It is applied to a copy of the
// sources, never to the package itself.

import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface Mutant {
  readonly id: string;
  /** Folder of the package. */
  readonly package: string;
  /** The package of the target whose tests are asked; default: its own. */
  readonly judgedBy?: string;
  /** Within the package's `src`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** What is wrong, as one would report it. */
  readonly what: string;
}

/** Backends whose faults are judged by operation cases and models. */
export type MutatedPackage = "backend-reference" | "backend-onnxruntime";

/** A fault that leaves shapes and finiteness alone, so that only numbers can betray it. */
export interface CaseMutant extends Mutant {
  readonly package: MutatedPackage;
  /** Lies in what models alone ask for, so that no single operation shows it. */
  readonly inModels?: true;
}

const repository = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Copies of sources lie within the repository, so that they find the same packages, in a folder that git ignores. Each
 * process has its own.
 */
export function copiesFolder(): string {
  return join(repository, "conformance", ".cache", `mutants-${process.pid}`);
}

function sources(name: string): string {
  return join(repository, "packages", name, "src");
}

/** The mutant's file with the fault in it. @throws {Error} when `find` does not occur exactly once. */
export async function patched(mutant: Mutant): Promise<string> {
  const text = await readFile(join(sources(mutant.package), mutant.file), "utf8");
  const parts = text.split(mutant.find);
  if (parts.length !== 2) {
    throw new Error(
      `${mutant.id}: the text to replace occurs ${parts.length - 1} times in ${mutant.package}/src/${mutant.file}, not once; ` +
        "the sources have changed, so write the patch anew.",
    );
  }
  return parts.join(mutant.replace);
}

/** Copies a package's sources with a fault in them. @returns the URL of the copy's index. */
export async function plant(mutant: CaseMutant, folder: string): Promise<string> {
  const text = await patched(mutant);
  await mkdir(folder, { recursive: true });
  await cp(sources(mutant.package), folder, { recursive: true });
  await writeFile(join(folder, mutant.file), text);
  return indexUrl(folder);
}

/** URL of a package's own index, without a fault. */
export function cleanIndex(name: MutatedPackage): string {
  return indexUrl(sources(name));
}

function indexUrl(folder: string): string {
  return pathToFileURL(join(folder, "index.ts")).href;
}
