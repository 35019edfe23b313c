// READMEs of packages and apps: their samples import what they use, from packages that export it, and none of them lets
// somebody install from npm what is not there.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const readmes = ["packages", "apps"].flatMap((folder) =>
  readdirSync(join(root, folder))
    .map((name) => join(folder, name, "README.md"))
    .filter((path) => readdirSync(join(root, path, "..")).includes("README.md")),
);
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");
const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, block]) => block ?? "");

/** What the packages export that samples use. */
const modules: Readonly<Record<string, () => Promise<object>>> = {
  polyllama: () => import("polyllama"),
  "polyllama/worker": () => import("polyllama/worker"),
  "@polyllama/backend-cpu": () => import("@polyllama/backend-cpu"),
  "@polyllama/backend-onnxruntime": () => import("@polyllama/backend-onnxruntime"),
  "@polyllama/backend-cuda": () => import("@polyllama/backend-cuda"),
  "@polyllama/backend-reference": () => import("@polyllama/backend-reference"),
  "@polyllama/backend-webgpu": () => import("@polyllama/backend-webgpu"),
  "@polyllama/checkpoints": () => import("@polyllama/checkpoints"),
  "@polyllama/core": () => import("@polyllama/core"),
  "@polyllama/formats": () => import("@polyllama/formats"),
  "@polyllama/model-poet": () => import("@polyllama/model-poet"),
  "@polyllama/planner": () => import("@polyllama/planner"),
  "@polyllama/training": () => import("@polyllama/training"),
  "@polyllama/training/node": () => import("@polyllama/training/node"),
  "@polyllama/vocabulary": () => import("@polyllama/vocabulary"),
};

const samples = readmes.flatMap((path) => blocks(textOf(path), "ts").map((code, index) => ({ path, index, code })));

test("there are samples", () => expect(samples.length).toBeGreaterThan(7));

test.each(samples)("$path, sample $index", async ({ code }) => {
  const imported: string[] = [];
  for (const [, names = "", from = ""] of code.matchAll(/^import \{ ([^}]+) \} from "([^"]+)";$/gm)) {
    const found = await modules[from]?.();
    for (const name of names.split(", ").filter((each) => !each.startsWith("type "))) {
      expect([from, Object.keys(found ?? {})]).toEqual([from, expect.arrayContaining([name])]);
      imported.push(name);
    }
  }
  const all = await Promise.all(Object.values(modules).map((load) => load()));
  const known = new Set(all.flatMap((found) => Object.keys(found)));
  const statements = code
    .replace(/^import .*$/gm, "")
    .replace(/\/\/.*$/gm, "")
    .replace(/"[^"\n]*"/g, '""');
  // Names that stand alone, not behind a dot and not before a colon.
  const used = [...statements.matchAll(/(?<![\w.])([A-Za-z]\w+)\b(?!\s*:)/g)].map(([, name]) => name ?? "");
  const declared = [...statements.matchAll(/(?:const|using|let) (?:\{ )?(\w+)/g)].map(([, name]) => name ?? "");
  const missing = used.filter((name) => known.has(name) && !imported.includes(name) && !declared.includes(name));
  expect(missing).toEqual([]);
});

test.each(readmes)("%s installs nothing from npm that is not published", (path) => {
  const text = textOf(path);
  const commands = blocks(text, "sh").join("");
  expect(commands).not.toMatch(/npm (?:i|install|exec)\b[^\n]*\s@?polyllama(?:\s|\/(?!packed))/);
  expect(commands).not.toMatch(/^npx (?:--yes )?@?polyllama/m);
  if (/packed\/|npx polyllama/.test(text)) expect(text).toContain("Nothing is published on npm yet");
});
