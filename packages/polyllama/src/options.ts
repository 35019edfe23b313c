// The options of a model's methods: their types, and beside each the description that it is checked against.

import { checkpointLocation, type OpenOptions, openOptionTypes, type WebLocation } from "@polyllama/checkpoints";
import { type OptionSchema, type OptionType, option, type Progress } from "@polyllama/core";
import { type CacheFormat, cacheFormats, type Device } from "@polyllama/core/device";
import { type QuantizedFormat, quantizedFormats } from "@polyllama/formats";
import type { RenderChatOptions } from "./chat/prompt.ts";
import { type GenerateOptions, generateOptionTypes } from "./generation/generate.ts";
import type { Sequence } from "./sequence.ts";

/** Options of `Llama.load`. */
export interface LoadOptions extends OpenOptions {
  /**
   * What computes: `cpu()` from @polyllama/backend-cpu, `webgpu()` from @polyllama/backend-webgpu, also
   * before it is there.
   */
  readonly backend: Device | PromiseLike<Device>;
  /**
   * Most tokens of a sequence; default: what the configuration declares. At most that, or what its RoPE scaling
   * reaches: its factor times the original length. Dynamic NTK scaling takes the base for exactly this length.
   */
  readonly contextLength?: number;
  /** Quantize matrices while loading, where they are stored in f32, f16 or bf16. */
  readonly quantize?: QuantizedFormat;
  /** Most tokens that are read in one run; default 512. */
  readonly chunk?: number;
  /**
   * Sequences of a whole context that share one pool of KV blocks, so that forks take only what differs; default 0:
   * each sequence has memory of its own. Sequences that find no room there have memory of their own, too.
   */
  readonly sequences?: number;
  /**
   * Format in which keys and values are kept, where the backend has it: f16 takes half of the memory that f32 does, q8_0
   * a quarter, and rounds; default: what the backend documents, f32 for most.
   */
  readonly cacheFormat?: CacheFormat;
  /**
   * A low-rank adapter in PEFT's layout, which is computed beside the weights: its folder, or its file beside
   * `adapter_config.json`. One that takes the place of whole weights is merged first: `mergeAdapter`.
   */
  readonly adapter?: string | WebLocation;
}

/** Options of `Llama.generate` and `Llama.complete`. */
export interface LlamaGenerateOptions extends GenerateOptions {
  /** Continue in this sequence of the same model instead of one that the model keeps by itself. */
  readonly sequence?: Sequence;
  /** Progress of reading the prompt, in tokens. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Options of `Llama.chat`. */
export interface ChatOptions extends LlamaGenerateOptions, RenderChatOptions {}

/** Options of `Llama.values`. */
export interface ValuesOptions {
  readonly signal?: AbortSignal;
}

const backend: OptionType = {
  expected: "a backend, such as cpu() from @polyllama/backend-cpu",
  accepts: (value) => isBackend.accepts(value) || isPromise.accepts(value),
  required: true,
  remedy(value) {
    if (value === undefined) return "Llama.load needs a backend.";
    if (typeof value === "function") return `Call it: \`backend: ${value.name || "createBackend"}()\`.`;
    if (typeof value !== "string" || !/^[a-z]+$/.test(value)) return undefined;
    return `Import it from @polyllama/backend-${value}, and give what it returns.`;
  },
};

/** A backend that is there. */
export const isBackend: OptionType = option.having(["loadParameters", "compile"], backend.expected);
const isPromise = option.having(["then"], "a promise");

export const loadOptionTypes: OptionSchema<LoadOptions> = {
  ...openOptionTypes,
  backend,
  contextLength: option.integer({ least: 1 }),
  quantize: option.oneOf(quantizedFormats),
  chunk: option.integer({ least: 1 }),
  sequences: option.integer({ least: 0, most: 2 ** 20 }),
  cacheFormat: option.oneOf(cacheFormats),
  adapter: { ...checkpointLocation, required: false },
};

export const llamaGenerateOptionTypes: OptionSchema<LlamaGenerateOptions> = {
  ...generateOptionTypes,
  sequence: option.having(["continueTo", "fork"], "a sequence of this model, made by createSequence()"),
  onProgress: option.function,
};

const jinja: OptionType = {
  expected: "{ jinja: a template }",
  accepts: (value) =>
    option.anyObject.accepts(value) &&
    // an object
    Object.entries(value as object).every(([name, text]) => name === "jinja" && typeof text === "string") &&
    "jinja" in (value as object),
};

export const renderChatOptionTypes: OptionSchema<RenderChatOptions> = {
  template: option.either({ ...option.nonEmptyString, expected: "the name of a chat format" }, jinja),
  allowMarkers: option.boolean,
  tools: option.list(option.anyObject, "a list of objects"),
  documents: option.list(option.anyObject, "a list of objects"),
  signal: option.signal,
};

export const chatOptionTypes: OptionSchema<ChatOptions> = { ...llamaGenerateOptionTypes, ...renderChatOptionTypes };

export const valuesOptionTypes: OptionSchema<ValuesOptions> = { signal: option.signal };
