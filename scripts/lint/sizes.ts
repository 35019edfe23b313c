// How long source files are. A long file mostly does several jobs.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { folders, type sizes } from "./config.ts";
import { readPackages } from "./packages.ts";

export interface Sizes {
  readonly files: number;
  readonly median: number;
  /** What breaks a rule, a line each. */
  readonly problems: readonly string[];
}

/** Measures all source files of a repository. */
export function checkSizes(root: string, rules: typeof sizes): Sizes {
  const { endings, leftOut, exceptions } = rules;
  const isSource = (path: string): boolean =>
    endings.some((ending) => path.endsWith(ending)) && !path.split("/").some((part) => leftOut.includes(part));
  const lines = [...readPackages(root).map(({ folder }) => folder), ...folders]
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      filesIn(root, folder, leftOut)
        .filter(isSource)
        .map((path) => ({ path, count: readFileSync(join(root, path), "utf8").split("\n").length - 1 })),
    )
    .sort((a, b) => a.count - b.count);
  const median = lines[Math.floor(lines.length / 2)]?.count ?? 0;
  const long = lines.filter(({ count }) => count > rules.most);
  const excused = new Set(exceptions.map(({ path }) => path));
  const problems = [
    ...long.filter(({ path }) => !excused.has(path)).map(({ path, count }) => `file-size: ${path} has ${count} lines`),
    ...[...excused]
      .filter((path) => !long.some((each) => each.path === path))
      .map((path) => `exception without need: file-size, ${path}`),
    ...(median > rules.median ? [`file-size: half of all files have ${median} lines or more`] : []),
  ];
  return { files: lines.length, median, problems };
}

function filesIn(root: string, folder: string, leftOut: readonly string[]): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (!entry.isDirectory()) return [path];
    return leftOut.includes(entry.name) ? [] : filesIn(root, path, leftOut);
  });
}
