// The program as it is started by hand, on the cpu backend.

import { spawnSync } from "node:child_process";
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
  expect(stdout).toMatch(/^> .*\S.*/);
});

test("a model that is not there is told in a line", () => {
  const { status, stderr } = run("", "nowhere.gguf");
  expect(status).toBe(1);
  expect(stderr).toMatch(/^[^\n]*nowhere\.gguf[^\n]*\n$/);
});
