// The program on a WebGPU device in Node, where Dawn's own threads and its device are alive when it is told to end, or
// when nobody reads on.

import { describeWithSystem } from "@polyllama/test-support/system";
import { expect, test } from "vitest";
import { start } from "./program.ts";

const args = ["generate", "--backend", "webgpu", "-p", "Once", "--ignore-eos"];
const crash = /\b(error|assert|abort|fatal|segmentation|core dumped|terminate called)/i;

describeWithSystem("vulkan", "the program on WebGPU", () => {
  test("ends quietly when its reader has seen enough", async () => {
    const { child, finished, until } = start(args);
    await until("stdout", /^.{10}/s);
    child.stdout.destroy();
    const { code, stderr } = await finished;
    expect(code).toBe(0);
    expect(stderr).not.toMatch(crash);
  });

  test("ends quietly when its reader is gone before the first word", async () => {
    const { child, finished } = start(args);
    child.stdout.destroy();
    const { code, stderr } = await finished;
    expect(code).toBe(0);
    expect(stderr).not.toMatch(crash);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it, and the exit code says so", async (signal, code) => {
    const { child, finished, until } = start(args);
    await until("stdout", /Once./);
    child.kill(signal);
    const result = await finished;
    expect(result.code).toBe(code);
    expect(result.stderr).not.toMatch(crash);
  });

  test("SIGTERM while the model is loaded ends it too", async () => {
    const { child, finished, until } = start(args);
    await until("stderr", /\S/);
    child.kill("SIGTERM");
    const { code, signal, stderr } = await finished;
    expect([143, "SIGTERM"]).toContain(code ?? signal);
    expect(stderr).not.toMatch(crash);
  });
});
