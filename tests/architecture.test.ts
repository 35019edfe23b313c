// docs/architecture.md: its picture is that of the layers which `npm run lint` holds imports to, and what it lists as
// the way of a weight, of a prompt and of a case is a way that the code has.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { layers } from "../scripts/lint/config.ts";
import { checkImports, type Imports } from "../scripts/lint/imports.ts";
import { readPackages } from "../scripts/lint/packages.ts";
import { readBricks } from "./support/bricks.ts";
import { uses } from "./support/flows.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(`${root}docs/architecture.md`, "utf8");

describe("the picture", () => {
  test("bricks are read with what they stand on", () => {
    const picture = `
┌─────────────────┐
│ a  b            │
├─────┬─────┬─────┤
│ c   │ d   │ e   │
├─────┴──┬──┤ f   │
│ g      │h │     │
└────────┴──┴─────┘`;
    const [, wall, ...rest] = [undefined, ...readBricks(picture)];
    expect(wall).toEqual({ words: ["a", "b"], on: [1, 2, 3] });
    expect(rest).toEqual([
      { words: ["c"], on: [4] },
      { words: ["d"], on: [4, 5] },
      { words: ["e", "f"], on: [] },
      { words: ["g"], on: [] },
      { words: ["h"], on: [] },
    ]);
  });

  test("is that of the layers, those for tests apart", () => {
    const [, picture = ""] = /```\n(┌[^`]*)```/.exec(page) ?? [];
    const bricks = readBricks(picture);
    const byPackages = (names: readonly string[]): string => [...names].sort().join(" ");
    const drawn = bricks.map(({ words, on }) => ({
      packages: byPackages(words),
      on: on.map((number) => byPackages(bricks[number]!.words)).sort(),
    }));
    const declared = layers
      .filter(({ name }) => name !== "tests")
      .map(({ packages, on }) => ({
        packages: byPackages(packages),
        on: on.map((name) => byPackages(layers.find((layer) => layer.name === name)!.packages)).sort(),
      }));
    const sorted = (list: typeof drawn): typeof drawn => list.sort((a, b) => (a.packages < b.packages ? -1 : 1));
    expect(sorted(drawn)).toEqual(sorted(declared));
  });
});

/** Lists of the page: under each heading "The way of ...", files in their order. */
const ways = [...page.matchAll(/^## (The way of .*)\n([\s\S]*?)(?=^## )/gm)].map(([, name = "", text = ""]) => ({
  name,
  files: [...text.matchAll(/^\d+\. `([^`]+)`: \S/gm)].map(([, file = ""]) => file),
  items: [...text.matchAll(/^\d+\. /gm)].length,
}));

describe("the ways", () => {
  let graph: Imports["graph"];
  beforeAll(async () => {
    ({ graph } = await checkImports(root, layers));
  });
  const packages = readPackages(root);
  const entries = new Set(packages.flatMap((each) => each.entries));

  test("there are three, of files that there are, each with a line, and no file twice", () => {
    expect(ways.map(({ name }) => name)).toEqual([
      "The way of a weight",
      "The way of a prompt",
      "The way of a conformance case",
    ]);
    for (const { files, items } of ways) expect(files).toHaveLength(items);
    const all = ways.flatMap(({ files }) => files);
    expect(all.filter((file) => !existsSync(root + file))).toEqual([]);
    expect(all.filter((file, i) => all.indexOf(file) < i)).toEqual([]);
    const named = [...page.matchAll(/`((?:packages|conformance|scripts)\/[\w./-]*)`/g)].map(([, path = ""]) => path);
    expect(named.filter((path) => !existsSync(root + path))).toEqual([]);
  });

  test.each(ways)("$name goes from one file to the next by what they import of each other", ({ files }) => {
    expect(files.length).toBeGreaterThan(5);
    const steps = files.slice(1).map((file, i) => [files[i]!, file] as const);
    const broken = steps.filter(([a, b]) => !uses(root, graph, entries, a, b) && !uses(root, graph, entries, b, a));
    expect(broken.map((step) => step.join(" and "))).toEqual([]);
  });

  test("files of one package that have nothing to do with each other are no step", () => {
    const [a, b, c] = ["packages/core/src/llama.ts", "packages/core/src/stop.ts", "packages/polyllama/src/load.ts"];
    expect(uses(root, graph, entries, a, b) || uses(root, graph, entries, b, a)).toBe(false);
    expect(uses(root, graph, entries, c, a)).toBe(true);
    expect(uses(root, graph, entries, c, b)).toBe(false);
  });
});
