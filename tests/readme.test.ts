// The README's promises: its program runs as it stands, in ten lines; its commands and links exist.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = readFileSync(join(root, "README.md"), "utf8");
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };

function runSource(...programArguments: readonly string[]): {
  readonly status: number | null;
  readonly output: string;
} {
  const nodeArguments = ["--conditions=@polyllama/source", "--import", "tsx", ...programArguments];
  const { status, stdout, stderr } = spawnSync(process.execPath, nodeArguments, { cwd: root, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

test("the program has ten lines at most, and writes a poem", () => {
  const program = /^```ts\n(.*?)^```$/ms.exec(text)?.[1] ?? "";
  const lines = program.trim().split("\n");
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.length).toBeLessThanOrEqual(10);
  const folder = join(root, `readme-${process.pid}.tmp`); // where the packages are found, and ignored by git
  mkdirSync(folder);
  try {
    writeFileSync(join(folder, "program.ts"), program);
    const { status, output } = runSource(join(folder, "program.ts"));
    expect(output).toMatch(/[\u4e00-\u9fff]{5}/);
    expect(status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("every script that is named exists", () => {
  const named = [...text.matchAll(/npm run ([a-z0-9:-]+)/g)].map(([, name]) => name!);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});

test("blocks of commands hold npm's commands, and those of the command line exist", () => {
  const commands = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) => block!.trim().split("\n"));
  const ours = commands.flatMap((command) => /^npm run polyllama -- (\w+)/.exec(command)?.[1] ?? []);
  const { output } = runSource("packages/cli/src/main.ts", "--help");
  expect(ours.length).toBeGreaterThan(2);
  for (const name of ours) expect(output).toMatch(new RegExp(`^  ${name}\\b`, "m"));
  expect(commands.filter((command) => !/^npm (start|run [a-z:]+|install --ignore-scripts)( |$)/.test(command))).toEqual(
    [],
  );
});

test("files that are linked exist", () => {
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path!);
  expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
