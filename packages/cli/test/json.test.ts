// With --json standard error has errors and notices alone, however long the work takes: what would be told if it took
// long is noted down here.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { commandsOf } from "../src/examples.ts";
import { createInterrupts } from "../src/interrupts.ts";
import { createProgram } from "../src/program.ts";
import type { Telling } from "../src/progress.ts";
import { run } from "./captured.ts";

const told = vi.hoisted(() => ({ lines: [] as string[] }));
vi.mock("../src/progress.ts", async (original) => {
  const { createProgress, createHint, ...rest } = await original<typeof import("../src/progress.ts")>();
  const say = (text: string, { json = false }: Telling = {}): void => void (json || told.lines.push(text));
  return {
    ...rest,
    createProgress(telling?: Telling) {
      say("progress", telling);
      return createProgress(telling);
    },
    createHint(text: string, telling: Telling) {
      say(text, telling);
      return createHint(text, telling);
    },
  };
});

vi.mock("../src/webgpu/probe.ts", () => ({
  async probe(_: string, { json = false }: Telling) {
    if (!json) told.lines.push("webgpu");
    return { reason: "not asked" }; // it takes a process of its own
  },
}));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-json-"));
  await writeFile(join(folder, "corpus.txt"), "Once\n");
  await writeFile(join(folder, "dialogues.jsonl"), JSON.stringify({ instruction: "a", output: "b" }));
  await writeFile(join(folder, "batch.json"), JSON.stringify([{ ids: [1, 2], counts: [0, 1] }]));
});
afterAll(() => rm(folder, { recursive: true }));

const tiny = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=1&vocab=320&context=64";
const tokenizer = ["--tokenizer", join(poet, "tokenizer.model")];
const reference = ["--backend", "reference"];
/** What makes a run of one step. */
const training = (out: string): readonly string[] => {
  const short = ["--batch", "1", "--steps", "1", "--warmup", "0"];
  return ["--model", `${tiny}&format=f32`, ...reference, "--out", join(folder, out), ...short];
};

/** A run of each command that has --json. */
const runs: Readonly<Record<string, () => readonly string[]>> = {
  generate: () => [...reference, "-n", "1"],
  chat: () => [...reference, "-n", "1"],
  bench: () => [...reference, "--prompt-tokens", "2", "--generate-tokens", "1", "--repeat", "1"],
  inspect: () => [tiny],
  doctor: () => reference,
  parity: () => ["--model", tiny, "--tokens", "2"],
  convert: () => [tiny, join(folder, "a.gguf")],
  quantize: () => [tiny, join(folder, "b.gguf"), "--format", "q4_0"],
  verify: () => [tiny, tiny],
  train: () => [join(folder, "corpus.txt"), ...training("train")],
  sft: () => [join(folder, "dialogues.jsonl"), ...training("sft")],
  gatt: () => [join(folder, "dialogues.jsonl"), ...training("gatt"), "--sampled", "--instruction", "c"],
  gradients: () => [
    "-m",
    tiny,
    ...reference,
    "--batch",
    join(folder, "batch.json"),
    "-o",
    join(folder, "g.safetensors"),
  ],
  "tokenizer encode": () => tokenizer,
  "tokenizer decode": () => tokenizer,
  "tokenizer stats": () => [join(folder, "corpus.txt"), ...tokenizer],
};

const interrupts = createInterrupts();
afterAll(() => interrupts[Symbol.dispose]());
const withJson = commandsOf(createProgram(interrupts)).filter(({ command }) =>
  command.options.some(({ long }) => long === "--json"),
);

test("every command with --json is run here", () => {
  expect(Object.keys(runs).sort()).toEqual(withJson.map(({ name }) => name).sort());
});

test.each(Object.keys(runs))("%s --json", async (name) => {
  told.lines.length = 0;
  const input = name === "tokenizer decode" ? "1 2" : "Once";
  const { code, stdout, stderr } = await run([...name.split(" "), "--json", ...runs[name]!()], input);
  expect(told.lines).toEqual([]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout)).toBeTypeOf("object");
});
