// The packages of the repository as their manifests declare them.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Package {
  /** Relative to the repository, such as `packages/core`. */
  readonly folder: string;
  readonly name: string;
  readonly published: boolean;
  /** Files that its exports lead to, relative to the repository. */
  readonly entries: readonly string[];
  /** Names that its sources may import, and those for everything else in it. */
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
}

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: unknown;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** All workspaces of a repository. */
export function readPackages(root: string): readonly Package[] {
  return (readManifest(root).workspaces ?? [])
    .flatMap((pattern) => {
      const parent = pattern.replace(/\/\*$/, "");
      return parent === pattern ? [pattern] : readdirSync(join(root, parent)).map((name) => `${parent}/${name}`);
    })
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .map((folder) => {
      const manifest = readManifest(join(root, folder));
      const { dependencies, optionalDependencies, peerDependencies, devDependencies } = manifest;
      return {
        folder,
        name: manifest.name,
        published: manifest.private !== true,
        entries: pathsIn(manifest.exports).map((path) => join(folder, path)),
        dependencies: Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }),
        devDependencies: Object.keys(devDependencies ?? {}),
      };
    });
}

/** All paths that conditions of exports lead to. */
function pathsIn(exports: unknown): readonly string[] {
  if (typeof exports === "string") return [exports];
  return typeof exports === "object" && exports !== null ? Object.values(exports).flatMap(pathsIn) : [];
}

/** What the repository itself has for tests and tools of all packages. */
export function commonDependencies(root: string): readonly string[] {
  return Object.keys(readManifest(root).devDependencies ?? {});
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}
