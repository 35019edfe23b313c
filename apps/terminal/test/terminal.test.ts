// The program as it is started by hand, on the cpu backend.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const program = ["--conditions=@polyllama/source", "--import", import.meta.resolve("tsx"), main];

function run(input: string, ...rest: readonly string[]) {
  const options = { input, encoding: "utf8", timeout: 100_000, killSignal: "SIGKILL" } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...rest], options);
  return { status, stdout, stderr };
}

test("answers each line of its input, and ends with it", () => {
  const { status, stdout, stderr } = run("Hello\n");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^>\s+[^\s>]/);
});

test("a model is looked for where npm was called, and what is wrong with it is told in a line", () => {
  const folder = mkdtempSync(join(tmpdir(), "polyllama-terminal-"));
  writeFileSync(join(folder, "damaged.gguf"), "not a model");
  const start = [
    fileURLToPath(new URL("../../../scripts/run-source.mjs", import.meta.url)),
    "apps/terminal/src/main.ts",
  ];
  const { status, stderr } = spawnSync(process.execPath, [...start, "damaged.gguf"], {
    encoding: "utf8",
    timeout: 100_000, // SIGTERM, which run-source.mjs hands on
    env: { ...process.env, INIT_CWD: folder },
  });
  rmSync(folder, { recursive: true });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^[^\n]*damaged\.gguf[^\n]*\n$/);
  expect(stderr).not.toContain("no such file");
});
