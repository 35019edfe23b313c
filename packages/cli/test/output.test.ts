// Output that nobody takes: a full device, and readers that leave.

import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { sourceArguments, start } from "./program.ts";

/** Runs the program with its standard output on a device that is always full. */
function runOnFullDevice(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [...sourceArguments, ...args], {
    stdio: ["ignore", openSync("/dev/full", "w"), "pipe"],
    timeout: 110_000,
    killSignal: "SIGKILL",
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stderr }));
  });
}

describe.skipIf(!existsSync("/dev/full"))("standard output to a full device", () => {
  test.each([
    [["--help"]],
    [["inspect", "synthetic://llama-2-7b?layers=1", "--json"]],
    [["generate", "--backend", "reference", "-n", "3", "-s", "1", "Once"]],
  ])("%j: one line says why, and the exit code is 1", async (args) => {
    const { code, stderr } = await runOnFullDevice(args);
    expect(stderr).toMatch(/^error: Standard output cannot be written: there is no space left where it goes\.$/m);
    expect(stderr.match(/error/gi)).toHaveLength(1);
    expect(stderr).not.toMatch(/ {4}at /);
    expect(code).toBe(1);
  });
});

test("help ends quietly when its reader is gone", async () => {
  const { child, finished } = start(["generate", "--help"]);
  child.stdout.destroy();
  expect(await finished).toMatchObject({ code: 0, stderr: "" });
});
