// The recipes of the documentation, as their readers have them: every block of TypeScript is a program of its own,
// compiled in the strictest settings and run in an empty folder; what it prints is what the block of text below it
// says, where there is one.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = readFileSync(join(root, "docs", "recipes.md"), "utf8");

const recipes = text
  .split(/^## /m)
  .slice(1)
  .map((section) => ({
    title: section.slice(0, section.indexOf("\n")),
    program: /^```ts\n(.*?)^```$/ms.exec(section)?.[1],
    prints: /^```text\n(.*?)^```$/ms.exec(section)?.[1],
  }));
const programs = recipes.flatMap(({ program, ...recipe }) => (program === undefined ? [] : [{ ...recipe, program }]));

/** Within the repository, whose packages they import, and ignored by git. */
const folder = join(root, `recipes-${process.pid}.tmp`);
const file = (index: number): string => join(folder, String(index), "recipe.ts");

/** Runs all of them in one process, which is what most of the time would go to, each in a folder of its own. */
const runner = `
const mark = process.argv[2];
for (const url of process.argv.slice(3)) {
  process.chdir(new URL(".", url).pathname);
  await import(url);
  process.stdout.write("\\n" + mark + "\\n");
}`;

let printed: readonly string[] = [];
let failure = "";

beforeAll(() => {
  programs.forEach(({ program }, index) => {
    mkdirSync(join(folder, String(index)), { recursive: true });
    writeFileSync(file(index), program);
  });
  writeFileSync(join(folder, "runner.mjs"), runner);
  const mark = "end of a recipe";
  const urls = programs.map((_, index) => pathToFileURL(file(index)).href);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=@polyllama/source", "--import", "tsx", join(folder, "runner.mjs"), mark, ...urls],
    { cwd: root, encoding: "utf8", timeout: 240_000, env: { ...process.env, XDG_CACHE_HOME: join(folder, "cache") } },
  );
  printed = stdout.split(`\n${mark}\n`);
  failure = stderr.slice(-2000);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("docs/recipes.md", () => {
  test.each(programs.map((recipe, index) => ({ ...recipe, index })))("$title", ({ prints, index }) => {
    if (index >= printed.length - 1) throw new Error(`It did not come to its end.\n${failure}`);
    expect(printed[index]).not.toBe("");
    if (prints !== undefined) expect(printed[index]?.trimEnd()).toBe(prints.trimEnd());
  });

  test("the programs compile", () => {
    const compilerOptions = { noEmit: true, types: ["node"], lib: ["ESNext", "WebWorker"] };
    const config = { extends: join(root, "tsconfig.base.json"), compilerOptions, include: ["*/recipe.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", folder],
      {
        encoding: "utf8",
      },
    );
    expect(stdout).toBe("");
    expect(status).toBe(0);
  }, 120_000);

  test("lists its recipes at the top", () => {
    const anchors = recipes.map(
      ({ title }) =>
        `](#${title
          .toLowerCase()
          .replaceAll(/[^\w -]/g, "")
          .replaceAll(" ", "-")})`,
    );
    for (const anchor of anchors) expect(text).toContain(anchor);
  });
});
