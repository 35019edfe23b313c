// What ends in the middle of a step: a process, a worker, a device. Each in a process of its own, where libuv has one
// thread for all that is not JavaScript, so that a call of the library keeps everything else waiting.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("./busy-steps.ts", import.meta.url));

/** Exit code, or signal, and what it wrote. */
async function run(what: string): Promise<readonly [number | string | null, string]> {
  const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@polyllama/source", script, what], {
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 100_000,
  });
  let written = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (written += String(piece)));
  const ended = await new Promise<number | string | null>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  return [ended, written.trim()];
}

const timeout = 120_000;

test("process.exit() ends a process at once", { timeout }, async () => {
  expect(await run("exit")).toEqual([7, ""]);
});

test("worker.terminate() leaves the process able to go on", { timeout }, async () => {
  expect(await run("terminate")).toEqual([0, "works"]);
});

test("a device that is disposed ends its step, and leaves another one's alone", { timeout }, async () => {
  expect(await run("dispose")).toEqual([0, "ERR_DISPOSED"]);
});
