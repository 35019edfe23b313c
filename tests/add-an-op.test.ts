// The op of docs/add-an-op.md, added to a copy of the sources as the page says: first its record alone, where the
// compiler must name every table that lacks it and nothing else, then its entries, with which all compiles and the
// page's program prints what the page says.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(join(root, "docs", "add-an-op.md"), "utf8");
/** Within the repository, where imports find what is installed, and ignored by git. */
const copy = join(root, `add-an-op-${process.pid}.tmp`);

interface Block {
  readonly kind: string;
  readonly file: string | undefined;
  readonly text: string;
}

const blocks: readonly Block[] = [...page.matchAll(/^```(\w+)(?: file=(\S+))?\n(.*?)^```$/gms)].map(
  ([, kind = "", file, text = ""]) => ({ kind, file, text }),
);
const [missing, printed] = blocks.filter(({ kind }) => kind === "text").map(({ text }) => text);
const edits = blocks.filter(({ file }) => file !== undefined);
const isRecord = ({ file }: Block): boolean => file!.startsWith("packages/core/"); // edits have files

/** A new file, or the lines of a diff where they belong. */
function apply({ kind, file, text }: Block): void {
  const path = join(copy, file!); // edits have files
  mkdirSync(dirname(path), { recursive: true });
  if (kind !== "diff") {
    writeFileSync(path, text);
    return;
  }
  const lines = readFileSync(path, "utf8").split("\n");
  let at = 0;
  for (const line of text.trimEnd().split("\n")) {
    const [mark, rest] = [line[0], line.slice(1)];
    if (mark === "+") lines.splice(at++, 0, rest);
    else {
      const found = lines.indexOf(rest, at);
      if (found < 0) throw new Error(`docs/add-an-op.md: ${file} has no line "${rest}" where the page has it`);
      if (mark === "-") lines.splice(found, 1);
      at = mark === "-" ? found : found + 1;
    }
  }
  writeFileSync(path, lines.join("\n"));
}

/** What the compiler says, a line for each error. */
function errors(): readonly string[] {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [compiler, "-p", "."], { cwd: copy, encoding: "utf8" });
  return stdout.split("\n").filter((line) => /^\S/.test(line));
}

beforeAll(() => {
  const packages = readdirSync(join(root, "packages")).filter((name) => name !== "cli"); // which has no table of ops
  for (const folder of [...packages.map((name) => `packages/${name}`), "conformance"]) {
    for (const part of ["package.json", "src", "mutants/suite.ts"].filter((part) =>
      existsSync(join(root, folder, part)),
    ))
      cpSync(join(root, folder, part), join(copy, folder, part), { recursive: true });
    const { name } = JSON.parse(readFileSync(join(copy, folder, "package.json"), "utf8"));
    const link = join(copy, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(copy, folder), link);
  }
  const config = {
    extends: "../tsconfig.base.json",
    compilerOptions: { noEmit: true, types: ["node"] },
    include: [
      "packages/core/src",
      "packages/planner/src",
      "packages/backend-*/src",
      "conformance/src",
      "conformance/mutants/suite.ts",
      "*.ts",
    ],
  };
  writeFileSync(join(copy, "tsconfig.json"), JSON.stringify(config));
  for (const edit of edits.filter(isRecord)) apply(edit);
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

test("the compiler names every table that lacks the op", () => {
  const found = errors();
  expect(found.map((line) => line.slice(0, line.indexOf("("))).sort()).toEqual(missing?.trimEnd().split("\n"));
  for (const line of found) expect(line).toContain("Property 'times' is missing");
}, 300_000);

test("with its entries everything compiles, and the op does what it says", () => {
  for (const edit of edits.filter((edit) => !isRecord(edit))) apply(edit);
  expect(errors()).toEqual([]);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=@polyllama/source", "--import", "tsx", "try.ts"],
    { cwd: copy, encoding: "utf8", timeout: 120_000 },
  );
  expect(stderr).toBe("");
  expect(stdout).toBe(printed);
}, 300_000);
