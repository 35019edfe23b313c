// Every command that opens a model refuses one whose table does not fit its tokenizer, names flags that it has, and
// takes them.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poet } from "@polyllama/model-poet";
import { writeTextFolder } from "@polyllama/test-support/text-folder";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { commandsOf } from "../src/examples.ts";
import { createInterrupts } from "../src/interrupts.ts";
import { createProgram } from "../src/program.ts";
import { runHere } from "./captured.ts";

// Its answers take a process of their own, and are not what is tested here.
vi.mock("../src/webgpu/probe.ts", () => ({ probe: async () => ({ reason: "not asked" }) }));

let scratch: string;
let odd: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "polyllama-fit-"));
  odd = join(scratch, "odd");
  await writeTextFolder(odd, { paddingRows: 1 }); // one row more is not padding
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const interrupts = createInterrupts();
afterAll(() => interrupts[Symbol.dispose]());
const commands = commandsOf(createProgram(interrupts));
const ownTokenizer = join(poet, "tokenizer.model");

/** What opens the model, by command. */
const openings: Readonly<Record<string, (model: string) => readonly string[]>> = {
  generate: (model) => ["--model", model, "Once"],
  chat: (model) => ["--model", model],
  bench: (model) => ["--model", model],
  parity: (model) => ["--model", model],
  inspect: (model) => [model],
  convert: (model) => [model, join(scratch, "never.gguf")],
  quantize: (model) => [model, join(scratch, "never.gguf"), "--format", "q4_0"],
  verify: (model) => [poet, model],
  "extend-vocab": (model) => [model, "--tokenizer", ownTokenizer, "-o", join(scratch, "never.gguf")],
};

test.each(Object.entries(openings))("%s names flags that it has", async (name, args) => {
  const { code, stderr } = await runHere(name, ...args(odd));
  expect(code).toBe(1);
  expect(stderr).toContain("the tokenizer has 6144 tokens, but the embedding table 6145 rows");
  const named = [...stderr.matchAll(/--[a-z-]+/g)].map(([flag]) => flag);
  expect(named).toContain("--fit-vocabulary");
  expect(named).toContain(name === "extend-vocab" ? "--base-tokenizer" : "--tokenizer");
  expect(stderr).not.toMatch(/fitVocabulary|`/);
  const own = commands.find((command) => command.name === name)?.command.options.map(({ long }) => long);
  expect(own).toEqual(expect.arrayContaining(named));
});

test("no command takes a model's tensors but not its rows", () => {
  const flags = (flag: string) =>
    commands.filter(({ command }) => command.options.some(({ long }) => long === flag)).map(({ name }) => name);
  expect(flags("--fit-vocabulary")).toEqual(flags("--ignore-tensors"));
});

/** What ends each command soon after it has opened the model. */
const ends: Readonly<Record<string, readonly string[]>> = {
  parity: ["--tokens", "1000"],
  inspect: [],
  convert: [],
  quantize: [],
  verify: [],
  "extend-vocab": [],
};

test.each(Object.entries(ends))("%s --fit-vocabulary opens it", async (name, more) => {
  await writeFile(join(scratch, "never.gguf"), "not replaced");
  const { stderr } = await runHere(name, ...openings[name]!(odd), ...more, "--fit-vocabulary");
  expect(stderr).toMatch(/the 1 behind them are left out/);
});

test("--tokenizer of verify takes the place of both models' own", async () => {
  const other = join(scratch, "other");
  await writeTextFolder(other, { added: { content: ["<x>"], special: true } });
  const own = await runHere("verify", odd, other, "--fit-vocabulary", "--tolerance", "9");
  expect(own.stdout).toContain("vocabSize: 6144 / 6145");
  const given = await runHere("verify", odd, other, "--fit-vocabulary", "--tokenizer", ownTokenizer);
  expect(given.stdout).not.toContain("vocabSize");
});
