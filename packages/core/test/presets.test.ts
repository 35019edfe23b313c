import { expect, test } from "vitest";
import { type PresetName, parameterCount, presets } from "../src/index.ts";

// Parameters as published: of Llama by the files of its release, of the others by what their larger vocabularies add.
const llama = { "7b": 6_738_415_616, "13b": 13_015_864_320, "33b": 32_528_943_616 };
const rows = (dim: number, more: number): number => 2 * dim * more;

test.each<[PresetName, number]>([
  ["llama-7b", llama["7b"]],
  ["llama-13b", llama["13b"]],
  ["llama-33b", llama["33b"]],
  ["llama-65b", 65_285_660_672],
  ["llama-2-7b", llama["7b"]],
  ["llama-2-13b", llama["13b"]],
  ["llama-2-70b", 68_976_648_192],
  ["tinyllama-1.1b", 1_100_048_384],
  ["chinese-llama-7b", llama["7b"] + rows(4096, 17_953)],
  ["chinese-llama-13b", llama["13b"] + rows(5120, 17_953)],
  ["chinese-llama-33b", llama["33b"] + rows(6656, 17_953)],
  ["chinese-alpaca-7b", llama["7b"] + rows(4096, 17_954)],
  ["chinese-alpaca-13b", llama["13b"] + rows(5120, 17_954)],
  ["chinese-alpaca-33b", llama["33b"] + rows(6656, 17_954)],
  ["chinese-llama-2-7b", llama["7b"] + rows(4096, 23_296)],
  ["chinese-llama-2-13b", llama["13b"] + rows(5120, 23_296)],
  ["chinese-alpaca-2-7b", llama["7b"] + rows(4096, 23_296)],
  ["chinese-alpaca-2-13b", llama["13b"] + rows(5120, 23_296)],
])("%s has %i parameters", (name, parameters) => {
  const config = presets[name];
  expect(parameterCount(config)).toBe(parameters);
  expect(config.headDim).toBe(name === "tinyllama-1.1b" ? 64 : 128);
  expect(config.contextLength).toBe(/llama-2|alpaca-2/.test(name) ? 4096 : 2048);
});

test("every size is checked here", () => {
  expect(Object.keys(presets)).toHaveLength(18);
});
