// Options that several commands share, and where each arrives. A row says what is otherwise when the option is given.

import { expect } from "vitest";
import type { Seen } from "./seen.ts";

export interface Row {
  /** The option's long name, and its value where it takes one. */
  readonly option: readonly [flag: string, ...value: string[]];
  /** What must be given for the option to be accepted; the same is given in the run to compare with. */
  readonly beside?: readonly string[];
  readonly changes: Seen;
}

export interface CommandRows {
  readonly name: string;
  /** The command, its arguments, and the options that it asks for. */
  readonly given: readonly string[];
  /** Where those arrive. */
  readonly arrives: Seen;
  readonly rows: readonly Row[];
}

/** @param line What is typed behind the program's name. */
export const command = (line: string, arrives: Seen, rows: readonly Row[]): CommandRows => {
  const given = line.split(" ");
  const [first = "", second = ""] = given;
  return { name: first === "tokenizer" ? `tokenizer ${second}` : first, given, arrives, rows };
};

export const row = (option: string, changes: Seen, beside: readonly string[] = []): Row => {
  const [flag = "", ...value] = option.split(" ");
  return { option: [flag, ...value], changes, beside };
};

export const json = (text: RegExp, beside: readonly string[] = []): Row =>
  row("--json", { stdout: expect.stringMatching(text) }, beside);

export const hubRows = (where: string, beside: readonly string[] = []): readonly Row[] => [
  row("--token t", { [`${where}.token`]: "t" }, beside),
  row("--hub-cache /h", { [`${where}.cacheFolder`]: "/h" }, beside),
  row("--endpoint https://e", { [`${where}.endpoint`]: "https://e" }, beside),
  row("--offline", { [`${where}.offline`]: true }, beside),
];

/** What is left out of a checkpoint that is opened alone. */
export const fileRows: readonly Row[] = [
  row("--ignore-tensors a.*,b", { "open.ignoreTensors": ["a.*", "b"] }),
  row("--fit-vocabulary", { "open.fitVocabulary": true }),
];

/** Options of a checkpoint that is opened alone, for commands that are given one on the hub. */
export const openRows: readonly Row[] = [
  row("--tokenizer t.model", { "open.tokenizer": "t.model" }),
  ...fileRows,
  ...hubRows("open.hub"),
];

export const backendRows: readonly Row[] = [
  row("--backend reference", { "backend.name": "reference" }),
  row("--threads 3", { "cpu.threads": 3 }),
  row("--activations f32", { "cpu.activations": "f32" }),
  row("--threads 3", { "onnxruntime.threads": 3 }, ["--backend", "onnxruntime"]),
  row("--activations f32", { "onnxruntime.activations": "f32" }, ["--backend", "onnxruntime"]),
  row("--cache-folder /c", { "cpu.cacheFolder": "/c" }),
  row("--no-cache", { "cpu.cacheFolder": false }),
  row("--cache-folder /c", { "onnxruntime.cacheFolder": "/c" }, ["--backend", "onnxruntime"]),
  row("--no-cache", { "onnxruntime.cacheFolder": false }, ["--backend", "onnxruntime"]),
  row("--device 2", { "cuda.device": 2 }, ["--backend", "cuda"]),
];

export const modelRows: readonly Row[] = [
  row("--model m.gguf", { "load.location": "m.gguf" }),
  row("--tokenizer t.model", { "load.tokenizer": "t.model" }),
  row("--context 22", { "load.contextLength": 22 }),
  row("--quantize Q8_0", { "load.quantize": "q8_0" }),
  row("--cache-format q8_0", { "load.cacheFormat": "q8_0" }),
  row("--fit-vocabulary", { "load.fitVocabulary": true }),
  row("--adapter ./lora", { "load.adapter": "./lora" }),
  row("--ignore-tensors a.*,b", { "load.ignoreTensors": ["a.*", "b"] }),
  ...backendRows,
  ...hubRows("load.hub", ["--model", "hf:owner/name"]),
];

/** @param where What generates: "generate" or "chat". */
export const textRows = (where: string, maxTokens: Seen = {}): readonly Row[] => [
  row("--max-tokens 7", { [`${where}.maxTokens`]: 7, ...maxTokens }),
  row("--temperature 0.11", { [`${where}.temperature`]: 0.11 }),
  row("--top-k 12", { [`${where}.topK`]: 12 }),
  row("--top-p 0.13", { [`${where}.topP`]: 0.13 }),
  row("--min-p 0.14", { [`${where}.minP`]: 0.14 }),
  row("--repetition-penalty 1.15", { [`${where}.repetitionPenalty`]: 1.15 }),
  row("--presence-penalty 0.16", { [`${where}.presencePenalty`]: 0.16 }),
  row("--frequency-penalty 0.17", { [`${where}.frequencyPenalty`]: 0.17 }),
  row("--seed 18", { [`${where}.seed`]: 18 }),
  row("--logit-bias 19=-inf", { [`${where}.logitBias.19`]: "-Infinity" }),
  row("--stop end", { [`${where}.stop`]: ["end"] }),
  row("--stop-token 21", { [`${where}.stopTokens`]: [21] }),
  row("--ignore-eos", { [`${where}.ignoreEos`]: true }),
];
