// Every option of `generate`, from the command's own list, arrives at the library under its own name and with its value.

import { cpu } from "@polyllama/backend-cpu";
import { cuda } from "@polyllama/backend-cuda";
import { Llama } from "polyllama";
import { afterEach, expect, test, vi } from "vitest";
import { commandsOf } from "../src/examples.ts";
import { createInterrupts } from "../src/interrupts.ts";
import { createProgram } from "../src/program.ts";

vi.mock("@polyllama/backend-cpu", () => ({ cpu: vi.fn(() => ({ [Symbol.asyncDispose]: async () => undefined })) }));
vi.mock("@polyllama/backend-cuda", () => ({ cuda: vi.fn(() => ({ [Symbol.asyncDispose]: async () => undefined })) }));

afterEach(() => {
  vi.restoreAllMocks();
  vi.mocked(cpu).mockClear();
  vi.mocked(cuda).mockClear();
});

interface Arrival {
  readonly args: readonly string[];
  readonly at: "generate" | "load" | "hub" | "cpu" | "cuda";
  readonly value: object;
}
const text = (flag: string, value: string, expected: object): readonly [string, Arrival] => [
  flag,
  { args: value === "" ? [flag] : [flag, value], at: "generate", value: expected },
];
const at = (where: Arrival["at"], flag: string, args: readonly string[], value: object): readonly [string, Arrival] => [
  flag,
  { args: [flag, ...args], at: where, value },
];

const hub = ["--model", "hf:owner/name"];
const arrivals: ReadonlyMap<string, Arrival> = new Map([
  text("--max-tokens", "7", { maxTokens: 7 }),
  text("--temperature", "0.11", { temperature: 0.11 }),
  text("--top-k", "12", { topK: 12 }),
  text("--top-p", "0.13", { topP: 0.13 }),
  text("--min-p", "0.14", { minP: 0.14 }),
  text("--repetition-penalty", "1.15", { repetitionPenalty: 1.15 }),
  text("--presence-penalty", "0.16", { presencePenalty: 0.16 }),
  text("--frequency-penalty", "0.17", { frequencyPenalty: 0.17 }),
  text("--seed", "18", { seed: 18 }),
  text("--logit-bias", "19=-2.5", { logitBias: { 19: -2.5 } }),
  text("--stop", "end", { stop: ["end"] }),
  text("--stop-token", "21", { stopTokens: [21] }),
  text("--ignore-eos", "", { ignoreEos: true }),
  ["--logprobs", { args: ["--logprobs", "3", "--json"], at: "generate", value: { logprobs: 3 } }],
  at("load", "--tokenizer", ["t.model"], { tokenizer: "t.model" }),
  at("load", "--context", ["22"], { contextLength: 22 }),
  at("load", "--quantize", ["Q8_0"], { quantize: "q8_0" }),
  at("load", "--fit-vocabulary", [], { fitVocabulary: true }),
  at("load", "--ignore-tensors", ["a.*,b"], { ignoreTensors: ["a.*", "b"] }),
  ["--token", { args: [...hub, "--token", "t"], at: "hub", value: { token: "t" } }],
  ["--hub-cache", { args: [...hub, "--hub-cache", "/h"], at: "hub", value: { cacheFolder: "/h" } }],
  ["--endpoint", { args: [...hub, "--endpoint", "https://e"], at: "hub", value: { endpoint: "https://e" } }],
  ["--offline", { args: [...hub, "--offline"], at: "hub", value: { offline: true } }],
  at("cpu", "--threads", ["3"], { threads: 3 }),
  at("cpu", "--activations", ["f32"], { activations: "f32" }),
  at("cpu", "--cache-folder", ["/c"], { cacheFolder: "/c" }),
  at("cpu", "--no-cache", [], { cacheFolder: false }),
  ["--device", { args: ["--backend", "cuda", "--device", "2"], at: "cuda", value: { device: 2 } }],
]);
/** What other tests see arrive, since it is no value of the library's options. */
const elsewhere = ["--help", "--prompt", "--file", "--json", "--model", "--backend"];

using interrupts = createInterrupts();
const [generateCommand] = commandsOf(createProgram(interrupts)).filter(({ name }) => name === "generate");
const options = generateCommand!.command.options.map(({ long }) => long ?? "");

test("no option of generate is left out here", () => {
  expect(options.filter((flag) => !arrivals.has(flag) && !elsewhere.includes(flag))).toEqual([]);
  expect([...arrivals.keys()].filter((flag) => !options.includes(flag))).toEqual([]);
});

test.each([...arrivals])("%s", async (_, { args, at: where, value }) => {
  const generated: object[] = [];
  const fake = {
    tokenizer: { encode: () => [1], piece: () => "a" },
    checkpoint: { name: "fake", notices: [] },
    loadSeconds: 0,
    contextLength: 64,
    generate: async function* (_prompt: unknown, given: object) {
      generated.push(given);
      yield { id: 5, text: "a", finish: "length" };
    },
    dispose: async () => undefined,
  };
  const load = vi.spyOn(Llama, "load").mockResolvedValue(fake as never); // what the command uses of it
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, "write").mockImplementation((_text, ...rest: unknown[]) => {
      const done = rest.find((entry) => typeof entry === "function");
      if (typeof done === "function") done();
      return true;
    });
  }
  const isJson = args.includes("--json");
  const described = {
    describe: () => ({ device: "fake" }),
    name: "fake",
    [Symbol.asyncDispose]: async () => undefined,
  };
  vi.mocked(cpu).mockReturnValue(described as never);
  vi.mocked(cuda).mockReturnValue(described as never);
  await createProgram(interrupts).parseAsync(["generate", "Once", ...args], { from: "user" });
  const seen = {
    generate: generated[0],
    load: load.mock.calls[0]?.[1],
    hub: load.mock.calls[0]?.[1].hub,
    cpu: vi.mocked(cpu).mock.calls[0]?.[0],
    cuda: vi.mocked(cuda).mock.calls[0]?.[0],
  };
  // Nothing but this value and what is always given arrives.
  const always = [
    "signal",
    "onProgress",
    "onNote",
    "backend",
    ...(where === "generate" && !("seed" in value) ? ["seed"] : []),
  ];
  const rest = Object.entries(seen[where] ?? {}).filter(([key]) => !always.includes(key));
  expect(Object.fromEntries(rest)).toEqual(value);
  expect(isJson || generated.length === 1).toBe(true);
});
