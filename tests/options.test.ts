// Every option of every entry point against values of every wrong kind: each is refused with a typed error that names
// the option. Which options there are the entry points say themselves, so that none is left out here.

import { cpu } from "@polyllama/backend-cpu";
import { cuda } from "@polyllama/backend-cuda";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { webgpu } from "@polyllama/backend-webgpu";
import { poet } from "@polyllama/model-poet";
import {
  compareCheckpoints,
  extendVocabulary,
  fitConversation,
  Llama,
  listHub,
  OptionError,
  openCheckpoint,
  pull,
  trainVocabulary,
  writeGguf,
  writeSafetensors,
} from "polyllama";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** Kinds of values, an example or more of each. */
const examples = {
  null: [null],
  boolean: [true, false],
  number: [3, -0.5],
  noNumber: [Number.NaN],
  string: ["no", ""],
  bigint: [3n],
  symbol: [Symbol("x")],
  function: [() => 3],
  list: [[{}], [null]],
  object: [{ x: 1 }],
  map: [new Map()],
  date: [new Date(0)],
} satisfies Record<string, readonly unknown[]>;
type Kind = keyof typeof examples;

type Options = Readonly<Record<string, readonly Kind[]>>;
/** The kinds that options may have; whether each value of the kind is good is not asked here. */
const [num, str, bool, fn, none]: readonly (readonly Kind[])[] = [
  ["number"],
  ["string"],
  ["boolean"],
  ["function"],
  [],
];

const long: Options = { onProgress: fn!, signal: none! };
const sampling: Options = {
  temperature: num!,
  topK: num!,
  topP: num!,
  minP: num!,
  repetitionPenalty: num!,
  presencePenalty: num!,
  frequencyPenalty: num!,
  logitBias: ["object", "map"],
  seed: num!,
};
const generation: Options = {
  ...sampling,
  ...long,
  maxTokens: num!,
  stop: str!,
  stopTokens: none!,
  ends: none!,
  ignoreEos: bool!,
  logprobs: num!,
  sequence: none!,
};
const chat: Options = { template: str!, allowMarkers: bool!, tools: none!, documents: none! };
const hub: Options = {
  token: str!,
  cacheFolder: str!,
  endpoint: str!,
  offline: bool!,
  memory: num!,
  timeout: num!,
  retryDelay: num!,
  fetch: fn!,
  onNote: fn!,
};
const opening: Options = {
  ...long,
  tokenizer: str!,
  keep: bool!,
  inMemory: bool!,
  sha256: str!,
  ignoreTensors: none!,
  fitVocabulary: bool!,
  hub: ["object"],
};
const writing: Options = {
  ...long,
  format: str!,
  tensors: ["list"],
  requantize: bool!,
  shardBytes: num!,
  overwrite: bool!,
  threads: num!,
  onNote: fn!,
};

let llama: Llama;
beforeAll(async () => {
  llama = await Llama.load(poet, { backend: reference(), contextLength: 16 });
});
afterAll(() => llama.dispose());

/** Options with those that are required; what are no options stays as it is. */
function withRequired<Required extends object>(options: unknown, required: Required): Required {
  const isPlain = Object.getPrototypeOf(options ?? 0) === Object.prototype;
  return isPlain ? { ...required, ...(options as object) } : (options as Required);
}

const messages = [{ role: "user", content: "a" }] as const;

describe.each<[title: string, call: (options: never) => unknown, options: Options]>([
  [
    "Llama.load",
    (options) => Llama.load(poet, withRequired(options, { backend: reference() })),
    {
      ...opening,
      adapter: str!,
      backend: none!,
      contextLength: num!,
      quantize: str!,
      chunk: num!,
      sequences: num!,
      cacheFormat: str!,
    },
  ],
  ["generate", (options) => llama.generate("a", options), generation],
  ["complete", (options) => llama.complete("a", options), generation],
  ["chat", (options) => llama.chat(messages, options), { ...generation, ...chat }],
  ["completeChat", (options) => llama.completeChat(messages, options), { ...generation, ...chat }],
  ["values", (options) => llama.values([1], ["logits"], options), { signal: none! }],
  ["continueTo", (options) => llama.createSequence(4).continueTo([1], options), long],
  ["renderChat", (options) => llama.renderChat(messages, options), { ...chat, signal: none! }],
  ["fitConversation", (options) => fitConversation(llama, messages, options), { ...chat, signal: none!, room: num! }],
  ["openCheckpoint", (options) => openCheckpoint(poet, options), opening],
  ["pull", (options) => pull("hf:owner/name", options), { ...hub, ...long }],
  ["listHub", (options) => listHub("hf:owner/name", options), { ...hub, ...long }],
  ["writeGguf", (options) => writeGguf("/nowhere/x.gguf", llama.checkpoint, options), writing],
  ["writeSafetensors", (options) => writeSafetensors("/nowhere/x", llama.checkpoint, options), writing],
  [
    "extendVocabulary",
    (options) => extendVocabulary(llama.checkpoint, "/nowhere", options),
    { rows: ["string", "object"], signal: none! },
  ],
  [
    "compareCheckpoints",
    (options) => compareCheckpoints(llama.checkpoint, llama.checkpoint, options),
    { ...long, tolerance: num! },
  ],
  [
    "trainVocabulary",
    (options) => trainVocabulary([], withRequired(options, { vocabSize: 300 })),
    {
      ...long,
      vocabSize: num!,
      characterCoverage: num!,
      byteFallback: bool!,
      splitDigits: bool!,
      splitByNumber: bool!,
      splitByUnicodeScript: bool!,
      allowWhitespaceOnlyPieces: bool!,
      addDummyPrefix: bool!,
      removeExtraWhitespaces: bool!,
      maxPieceLength: num!,
      maxLineBytes: num!,
      userDefinedSymbols: none!,
      controlSymbols: none!,
    },
  ],
  [
    "cpu",
    cpu,
    {
      threads: num!,
      activations: str!,
      instructionSet: str!,
      cacheFolder: ["string", "boolean"],
      cacheLimit: num!,
      onNote: fn!,
    },
  ],
  [
    "onnxruntime",
    onnxruntime,
    { threads: num!, activations: str!, cacheFolder: ["string", "boolean"], cacheLimit: num!, onNote: fn! },
  ],
  ["cuda", cuda, { activations: str!, training: str!, cache: str!, device: num!, library: str!, images: str! }],
  [
    "webgpu",
    webgpu,
    {
      device: none!,
      adapter: none!,
      powerPreference: str!,
      gpu: none!,
      features: ["object"],
      limits: str!,
      memory: num!,
      kernels: str!,
      loweredLimits: ["object"],
    },
  ],
  ["reference", reference, { perturb: ["list", "object", "map", "date"] }],
  [
    "encode",
    (options) => llama.tokenizer.encode("a", options),
    { bos: bool!, eos: bool!, special: bool!, literal: none! },
  ],
  ["decode", (options) => llama.tokenizer.decode([1], options), { special: bool!, continuing: bool! }],
])("%s", (_title, call, options) => {
  const refused = async (given: unknown): Promise<OptionError> => {
    try {
      await (call as (options: unknown) => unknown)(given);
    } catch (error) {
      if (error instanceof OptionError) return error;
      throw error;
    }
    return expect.unreachable(`${String(Object.keys(given as object))} was accepted`);
  };

  test("has these options", async () => {
    const { expected, option } = await refused({ nonsense: 1 });
    expect(option).toBe("nonsense");
    expect(expected.replace("one of ", "").split(", ").sort()).toEqual(Object.keys(options).sort());
  });

  test("refuses wrong kinds of each by name", async () => {
    for (const [name, kinds] of Object.entries(options)) {
      for (const [kind, values] of Object.entries(examples)) {
        if (kinds.includes(kind as Kind)) continue;
        for (const value of values) {
          const error = await refused({ [name]: value });
          expect.soft(error, `${name}: ${kind}`).toMatchObject({ code: "ERR_OPTION", option: name });
          expect.soft(error.message, `${name}: ${kind}`).toContain(name);
        }
      }
    }
  });

  test.each([null, 3, "x", [], new Map(), () => 3].map((value) => [value]))(
    "refuses %s in place of options",
    async (value) => {
      await expect((async () => (call as (options: unknown) => unknown)(value))()).rejects.toMatchObject({
        code: "ERR_OPTION",
      });
    },
  );
});
