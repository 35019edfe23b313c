// The repository's own programs say what they take, and what is wrong with what they were given, without a stack.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(`${root}package.json`, "utf8"),
);

/** The files that the package's scripts run and that read arguments by the common helper. */
const programs = Object.entries(scripts).flatMap(([name, command]) => {
  const file = /^node (?:scripts\/run-source\.mjs )?(\S+\.(?:ts|mjs))$/.exec(command)?.[1];
  const source = file === undefined ? "" : readFileSync(root + file, "utf8");
  return file !== undefined && source.includes("readArguments(") ? [{ name, file, source }] : [];
});

test("all of them do", () => {
  const names = programs.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(["conformance", "fuzz", "bundle", "pack", "kill:convert", "browser:1b", "setup:system"]),
  );
  expect(names.filter((name) => name.startsWith("bench:")).length).toBeGreaterThanOrEqual(6);
  for (const { name, source } of programs) expect(source).toMatch(new RegExp(`readArguments\\(\\s*"npm run ${name}"`));
});

const run = (file: string, ...args: string[]) => {
  const source = ["--conditions=@polyllama/source", "--import", import.meta.resolve("tsx")];
  const given = file.endsWith(".ts") ? source : [];
  return spawnSync(process.execPath, [...given, root + file, ...args], {
    encoding: "utf8",
    timeout: 110_000,
    killSignal: "SIGKILL",
  });
};

test.each(programs)("$name: --help", ({ name, file }) => {
  const help = run(file, "--help");
  expect([help.status, help.stderr]).toEqual([0, ""]);
  expect(help.stdout).toMatch(
    new RegExp(`^usage: npm run ${name} -- \\[options\\]\\n\\n.*\\n\\n[^]*--help +print this help\\n`),
  );
});

test("an unknown option is named in one line", () => {
  const wrong = run("fuzz/run.ts", "--nonsense");
  expect(wrong.stderr).toBe("error: Unknown option '--nonsense'; `npm run fuzz -- --help` lists the options\n");
  expect([wrong.status, wrong.stdout]).toEqual([2, ""]);
});

test("npm test -- --help runs nothing", () => {
  const help = run("scripts/test.mjs", "--help");
  expect([help.status, help.stderr]).toEqual([0, ""]);
  expect(help.stdout).toMatch(/^usage: npm test -- \[--full\] .*\n$/);
});
