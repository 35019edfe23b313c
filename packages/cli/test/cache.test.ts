// Folders for packed weights that cannot be used: the run goes on without, or says what to do in the command line's own
// words.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { run, runHere } from "./captured.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-cli-"));
  file = join(folder, "file");
  await writeFile(file, "");
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rm(folder, { recursive: true }));

const generate = ["generate", "-p", "春", "-n", "2", "--temperature", "0", "--backend", "onnxruntime"];

test("a home folder that cannot be written costs one note", async () => {
  const right = await run([...generate, "--cache-folder", join(folder, "cache")]);
  vi.stubEnv("HOME", file);
  vi.stubEnv("XDG_CACHE_HOME", undefined);
  const { code, stdout, stderr } = await run(generate);
  expect(code).toBe(0);
  expect(stdout).toBe(right.stdout);
  expect(stderr.match(/cannot be kept in the cache/g)).toHaveLength(1);
  expect(stderr).toContain(`${file}/.cache/polyllama`);
  expect(stderr).toContain("--cache-folder names another folder, and --no-cache does without.");
  expect(stderr).not.toMatch(/Warning|onnxruntime\(|cacheFolder/);
});

test("where there is no folder at all, the error names --cache-folder and --no-cache, and nothing of the library", async () => {
  vi.stubEnv("TMPDIR", join(file, "tmp"));
  for (const where of [["--cache-folder", join(file, "cache")], ["--no-cache"]]) {
    const { code, stderr } = await runHere(...generate, ...where);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*tmp cannot be written to \(ENOTDIR\).*--cache-folder.*--no-cache.*TMPDIR/m);
    expect(stderr).not.toMatch(/onnxruntime\(|cacheFolder/);
  }
});
