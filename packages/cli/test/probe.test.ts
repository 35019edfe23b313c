import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { advice } from "../src/commands/doctor.ts";
import { type ProbeOptions, probe } from "../src/webgpu/probe.ts";
import { run } from "./captured.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-probe-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program that answers in place of the real one. */
async function program(name: string, code: string): Promise<Pick<ProbeOptions, "program">> {
  const path = join(folder, `${name}.mjs`);
  await writeFile(path, code);
  return { program: pathToFileURL(path) };
}

const probing = { signal: new AbortController().signal, verbose: false, seconds: 40 };

test("what a driver writes is kept for --verbose, and the answer comes", async () => {
  const noisy = await program(
    "noisy",
    "process.once('message', () => { console.error('Warning: no Vulkan'); process.send({ answer: [] }, () => process.exit()); });",
  );
  const write = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  const said = (): string => write.mock.calls.map(([text]) => String(text)).join("");
  try {
    expect(await probe("fits", { ...probing, ...noisy })).toEqual({ answer: [] });
    expect(said()).not.toContain("Vulkan");
    await probe("fits", { ...probing, ...noisy, verbose: true });
    expect(said()).toContain("Warning: no Vulkan");
  } finally {
    write.mockRestore();
  }
});

test("one that crashes or hangs is an answer too, and an interrupt ends it", async () => {
  const crash = await program("crash", "process.once('message', () => process.abort());");
  expect(await probe("fits", { ...probing, ...crash })).toEqual({ reason: expect.stringContaining("SIGABRT") });
  const hang = await program("hang", "process.on('message', () => undefined);");
  expect(await probe("fits", { ...probing, ...hang, seconds: 1 })).toEqual({
    reason: "webgpu gave no answer within 1 s",
  });
  const controller = new AbortController();
  const asked = probe("fits", { ...probing, ...hang, signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(asked).rejects.toThrow("enough");
});

test("inspect writes nothing but what it was asked for, whatever drivers there are", async () => {
  const { code, stderr } = await run(["inspect", "--json", "synthetic://llama-2-7b?layers=1"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});

test("doctor in a clone without a driver names what fetches one", () => {
  const backends = [
    { name: "cpu", works: true },
    { name: "webgpu", works: false, reason: "no adapter" },
  ] as const;
  const named = advice(backends, "cpu", true).some((line) => line.includes("npm run setup:system"));
  expect(named).toBe(process.platform === "linux");
  expect(advice(backends, "cpu", false).join()).not.toContain("setup:system");
  expect(advice([{ name: "webgpu", works: true }], "webgpu", true).join()).not.toContain("setup:system");
});
