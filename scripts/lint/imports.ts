// Who imports whom in a repository, and which imports break a rule. Types count as values do: a type that two files
// take from each other belongs in a third one.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { cruise, type ICruiseResult, type IViolation } from "dependency-cruiser";
import extractTsConfig from "dependency-cruiser/config-utl/extract-ts-config";
import { folders, type ImportException, ignored, type Layer } from "./config.ts";
import { readPackages } from "./packages.ts";
import { importRules } from "./rules.ts";

export interface Import {
  /** As the file writes it. */
  readonly specifier: string;
  /** The file that it leads to, relative to the repository. */
  readonly file: string;
}

export interface Imports {
  /** What each file imports, by its path relative to the repository. */
  readonly graph: ReadonlyMap<string, readonly Import[]>;
  /** What breaks a rule, a line each. */
  readonly problems: readonly string[];
}

/** Reads and checks the imports of all files. */
export async function checkImports(
  root: string,
  layers: readonly Layer[],
  exceptions: readonly ImportException[] = [],
): Promise<Imports> {
  const starts = [...readPackages(root).map(({ folder }) => folder), ...folders].filter((folder) =>
    existsSync(join(root, folder)),
  );
  const { output } = await cruise(
    starts,
    {
      baseDir: root,
      validate: true,
      ruleSet: { forbidden: [...importRules(root, layers)] },
      exclude: { path: ignored.source },
      doNotFollow: { path: "(^|/)node_modules/" },
      tsPreCompilationDeps: true,
    },
    {
      bustTheCache: true,
      conditionNames: ["@polyllama/source", "node", "import", "types", "default"],
      exportsFields: ["exports"],
      extensions: [".ts", ".mts", ".js", ".mjs", ".d.ts"],
    },
    { tsConfig: extractTsConfig(join(root, "tsconfig.json")) },
  );
  const { modules, summary } = output as ICruiseResult; // what it gives where no reporter is named
  const found = [...new Set(summary.violations.map(describe))];
  const fits = ({ rule, path }: ImportException, problem: string): boolean =>
    problem.startsWith(`${rule}: `) && path.test(problem);
  const unused = exceptions.filter((exception) => !found.some((problem) => fits(exception, problem)));
  return {
    graph: new Map(
      modules.map(({ source, dependencies }) => [
        source,
        dependencies.map(({ module, resolved }) => ({ specifier: module, file: resolved })),
      ]),
    ),
    problems: [
      ...found.filter((problem) => !exceptions.some((exception) => fits(exception, problem))),
      ...unused.map(({ rule, path }) => `exception without need: ${rule}, ${path.source}`),
    ],
  };
}

/** A line; a circle is told from its first file in the alphabet, so that it is told once. */
function describe({ rule, from, to, cycle }: IViolation): string {
  if (cycle === undefined || cycle.length === 0) return `${rule.name}: ${from} -> ${to}`;
  const names = cycle.map(({ name }) => name); // ends with `from`
  const [first = from] = [...names].sort();
  const start = names.indexOf(first);
  return `${rule.name}: ${[...names.slice(start), ...names.slice(0, start), first].join(" -> ")}`;
}
