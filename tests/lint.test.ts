// What `npm run lint` asks of imports and of the lengths of files, each shown by a fault in a small repository with the
// layers of this one: the check names the rule and the files.

import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ImportException, layers, type SizeException } from "../scripts/lint/config.ts";
import { checkImports } from "../scripts/lint/imports.ts";
import { importRules } from "../scripts/lint/rules.ts";
import { checkSizes } from "../scripts/lint/sizes.ts";

let parent: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "polyllama-lint-"));
});
afterAll(() => rm(parent, { recursive: true }));

/** What each package of the small repository declares. */
const declared: Readonly<Record<string, { readonly uses?: readonly string[]; readonly tests?: readonly string[] }>> = {
  "packages/core": { tests: ["formats"] },
  "packages/formats": { uses: ["core"] },
  "packages/planner": { uses: ["core", "formats"] },
  "packages/backend-cpu": { uses: ["core", "planner", "backend-cuda"] },
  "packages/backend-cuda": { uses: ["core", "planner"] },
  "packages/polyllama": { uses: ["core"] },
  conformance: { uses: ["polyllama"], tests: ["backend-cuda"] },
};

/** Files that break nothing. */
const sound: Readonly<Record<string, string>> = {
  "packages/core/src/index.ts": `export { one } from "./one.ts";\nexport type { Two } from "./two.ts";`,
  "packages/core/src/one.ts": `import type { Two } from "./two.ts";\nexport const one: Two = 1;`,
  "packages/core/src/two.ts": `export type Two = number;`,
  "packages/core/test/one.test.ts": `import "@polyllama/formats";\nimport "../src/one.ts";\nimport "vitest";`,
  "packages/formats/src/index.ts": `export { one } from "@polyllama/core";`,
  "packages/planner/src/index.ts": `export { one } from "@polyllama/formats";`,
  "packages/backend-cpu/src/index.ts": `export { one } from "@polyllama/planner";`,
  "packages/backend-cuda/src/index.ts": `export { one } from "@polyllama/planner";`,
  "packages/polyllama/src/index.ts": `export { one } from "@polyllama/core";`,
  "conformance/src/index.ts": `export { one } from "@polyllama/polyllama";`,
  "conformance/test/all.test.ts": `import "@polyllama/backend-cuda";`,
  "benchmarks/cpu.ts": `import "@polyllama/backend-cpu";\nimport "../scripts/tool.ts";`,
  "scripts/tool.ts": `export const tool = 1;`,
};

/** Makes the small repository with some files changed or added. */
async function makeRepository(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(parent, "repository-"));
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  const json = (path: string, value: object): Promise<void> => write(path, JSON.stringify(value));
  const versions = (names: readonly string[] = []): object =>
    Object.fromEntries(names.map((name) => [`@polyllama/${name}`, "0.0.0"]));
  await json("package.json", { workspaces: ["packages/*", "conformance"], devDependencies: { vitest: "4" } });
  await json("tsconfig.json", { compilerOptions: { module: "NodeNext", allowImportingTsExtensions: true } });
  for (const module of ["vitest", "left-pad"]) {
    await json(`node_modules/${module}/package.json`, { name: module, exports: "./index.js" });
    await write(`node_modules/${module}/index.js`, "export {};");
  }
  await mkdir(join(root, "node_modules/@polyllama"));
  for (const [folder, { uses, tests }] of Object.entries(declared)) {
    const name = folder.replace("packages/", "@polyllama/");
    await json(`${folder}/package.json`, {
      name: folder === "conformance" ? "@polyllama/conformance" : name,
      exports: { ".": { "@polyllama/source": "./src/index.ts", default: "./dist/index.js" } },
      dependencies: versions(uses),
      devDependencies: versions(tests),
    });
    await symlink(join(root, folder), join(root, "node_modules/@polyllama", folder.replace("packages/", "")));
  }
  for (const [path, text] of Object.entries({ ...sound, ...files })) await write(path, text);
  return root;
}

describe("imports", () => {
  const problemsWith = async (
    files: Readonly<Record<string, string>>,
    exceptions: readonly ImportException[] = [],
  ): Promise<readonly string[]> => (await checkImports(await makeRepository(files), layers, exceptions)).problems;

  test("what the layers allow is no problem", async () => {
    expect(await problemsWith({})).toEqual([]);
  });

  const faults: Readonly<Record<string, readonly [files: Readonly<Record<string, string>>, problem: string]>> = {
    "a circle of two files": [
      {
        "packages/core/src/two.ts": `import { one } from "./one.ts";\nexport type Two = number;\nexport const two = () => one;`,
      },
      "file-circle: packages/core/src/one.ts -> packages/core/src/two.ts -> packages/core/src/one.ts",
    ],
    "a circle of types alone": [
      { "packages/core/src/two.ts": `import type { One } from "./one.ts";\nexport type Two = One;` },
      "file-circle: packages/core/src/one.ts -> packages/core/src/two.ts -> packages/core/src/one.ts",
    ],
    "a circle in a file's own package by its name": [
      { "packages/core/src/two.ts": `export type Two = typeof import("@polyllama/core").one;` },
      "file-circle: packages/core/src/index.ts -> packages/core/src/one.ts -> packages/core/src/two.ts -> packages/core/src/index.ts",
    ],
    "a circle across packages": [
      { "packages/core/src/two.ts": `import type { one } from "@polyllama/formats";\nexport type Two = typeof one;` },
      "file-circle: packages/core/src/index.ts -> packages/core/src/one.ts -> packages/core/src/two.ts -> packages/formats/src/index.ts -> packages/core/src/index.ts",
    ],
    "an import upwards": [
      { "packages/core/src/extra.ts": `import type {} from "@polyllama/formats";` },
      "upward-import: packages/core/src/extra.ts -> packages/formats/src/index.ts",
    ],
    "an import upwards at run time": [
      { "packages/polyllama/src/extra.ts": `export const load = () => import("@polyllama/conformance");` },
      "upward-import: packages/polyllama/src/extra.ts -> conformance/src/index.ts",
    ],
    "one backend that imports another, though it declares it": [
      { "packages/backend-cpu/src/extra.ts": `export { one } from "@polyllama/backend-cuda";` },
      "upward-import: packages/backend-cpu/src/extra.ts -> packages/backend-cuda/src/index.ts",
    ],
    "the library that imports a backend": [
      { "packages/polyllama/src/extra.ts": `export { one } from "@polyllama/backend-cuda";` },
      "upward-import: packages/polyllama/src/extra.ts -> packages/backend-cuda/src/index.ts",
    ],
    "conformance that imports a backend other than its judge": [
      { "conformance/src/extra.ts": `export { one } from "@polyllama/backend-cuda";` },
      "upward-import: conformance/src/extra.ts -> packages/backend-cuda/src/index.ts",
    ],
    "a package that is not declared": [
      { "packages/polyllama/src/extra.ts": `export { one } from "@polyllama/formats";` },
      "undeclared-dependency: packages/polyllama/src/extra.ts -> packages/formats/src/index.ts",
    ],
    "sources that import what is declared for tests": [
      { "packages/core/src/extra.ts": `import "vitest";` },
      "undeclared-dependency: packages/core/src/extra.ts -> node_modules/vitest/index.js",
    ],
    "a test that imports what nobody declares": [
      { "packages/core/test/extra.test.ts": `import "left-pad";` },
      "undeclared-dependency: packages/core/test/extra.test.ts -> node_modules/left-pad/index.js",
    ],
    "a path into another package": [
      { "packages/formats/src/extra.ts": `export { one } from "../../core/src/one.ts";` },
      "path-into-package: packages/formats/src/extra.ts -> packages/core/src/one.ts",
    ],
    "a test's path into another package": [
      { "conformance/test/extra.test.ts": `export type { Two } from "../../packages/core/src/two.ts";` },
      "path-into-package: conformance/test/extra.test.ts -> packages/core/src/two.ts",
    ],
    "a benchmark's path into a package": [
      { "benchmarks/extra.ts": `export { one } from "../packages/core/src/one.ts";` },
      "path-into-package: benchmarks/extra.ts -> packages/core/src/one.ts",
    ],
    "sources that import a test": [
      { "packages/core/src/extra.ts": `import "../test/one.test.ts";` },
      "sources-import-sources: packages/core/src/extra.ts -> packages/core/test/one.test.ts",
    ],
    "sources that import a tool of the repository": [
      { "packages/core/src/extra.ts": `export { tool } from "../../../scripts/tool.ts";` },
      "sources-import-sources: packages/core/src/extra.ts -> scripts/tool.ts",
    ],
    "an import that leads nowhere": [
      { "packages/core/src/extra.ts": `import "./missing.ts";` },
      "unresolved: packages/core/src/extra.ts -> ./missing.ts",
    ],
  };
  test.each(Object.entries(faults))("%s", async (_, [files, problem]) => {
    expect(await problemsWith(files)).toContain(problem);
  });

  test("an exception excuses what it fits alone, and is an error where nothing needs it", async () => {
    const upward = `export { one } from "@polyllama/backend-cuda";`;
    const files = { "packages/polyllama/src/a.ts": upward, "packages/polyllama/src/b.ts": upward };
    const reason = "shown here";
    const problems = await problemsWith(files, [
      { rule: "upward-import", path: /polyllama\/src\/a\.ts/, reason },
      { rule: "undeclared-dependency", path: /polyllama\/src\/[ab]\.ts/, reason },
      { rule: "file-circle", path: /polyllama\/src\/b\.ts/, reason },
    ]);
    expect(problems).toEqual([
      "upward-import: packages/polyllama/src/b.ts -> packages/backend-cuda/src/index.ts",
      "exception without need: file-circle, polyllama\\/src\\/b\\.ts",
    ]);
  });
});

test("a package that is in no layer is named", () => {
  expect(() => importRules(new URL("..", import.meta.url).pathname, [])).toThrow(/must be in exactly one layer/);
});

describe("lengths of files", () => {
  const lines = (count: number): string => "//\n".repeat(count);
  const rules = { endings: [".ts"], leftOut: ["test", "dist"], median: 3, most: 5, exceptions: [] };
  const measure = async (
    files: Readonly<Record<string, number>>,
    exceptions: readonly SizeException[] = [],
  ): Promise<readonly string[]> => {
    const root = await makeRepository(
      Object.fromEntries(Object.entries(files).map(([path, count]) => [path, lines(count)])),
    );
    return checkSizes(root, { ...rules, exceptions }).problems;
  };

  test("short files are no problem, nor are long tests and what is built", async () => {
    const files = {
      "scripts/a.ts": 5,
      "packages/core/src/a.ts": 1,
      "packages/core/test/a.ts": 6,
      "benchmarks/a.js": 6,
    };
    expect(await measure(files)).toEqual([]);
  });

  test("a long one is named, unless it is excused; an excuse that nothing needs is an error", async () => {
    const files = { "packages/core/src/a.ts": 6, "scripts/a.ts": 7 };
    const exceptions = ["scripts/a.ts", "scripts/b.ts"].map((path) => ({ path, reason: "shown here" }));
    expect(await measure(files, exceptions)).toEqual([
      "file-size: packages/core/src/a.ts has 6 lines",
      "exception without need: file-size, scripts/b.ts",
    ]);
  });

  test("so are too many that are neither long nor short", async () => {
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`scripts/${i}.ts`, 4]));
    expect(await measure(files)).toEqual(["file-size: half of all files have 4 lines or more"]);
  });
});
