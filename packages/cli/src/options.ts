// Options that several commands share, and what they mean to the library. Values are checked here, before anything is
// loaded; what is accepted is passed on.

import { type CacheFormat, cacheFormats } from "@polyllama/core/device";
import { type Command, Option } from "commander";
import { checkGenerateOptions, type GenerateOptions, type QuantizedFormat, quantizedFormats } from "polyllama";
import { type BackendOptions, backendName, backendNames } from "./backends.ts";
import { addHubOptions, type HubFlags } from "./hub.ts";
import { collect, collectTokens, formatOption, integer, logitBias, number } from "./values.ts";

export interface ModelOptions extends BackendOptions, HubFlags {
  /** Default: the embedded poet. */
  readonly model?: string;
  readonly context?: number;
  readonly quantize?: QuantizedFormat;
  readonly cacheFormat?: CacheFormat;
  readonly tokenizer?: string;
  readonly ignoreTensors?: readonly string[];
  readonly fitVocabulary?: boolean;
  readonly adapter?: string;
}

export interface TextOptions {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly seed?: number;
  readonly logitBias?: Readonly<Record<number, number>>;
  readonly stop?: readonly string[];
  readonly stopToken?: readonly (number | string)[];
  readonly ignoreEos?: boolean;
  readonly logprobs?: number;
}

/** `--backend` and the options of backends. */
export function addBackendOptions(command: Command): Command {
  return command
    .optionsGroup("Backend:")
    .addOption(
      new Option("--backend <name>", "what computes").choices(backendNames).argParser(backendName).default("cpu"),
    )
    .option("-t, --threads <n>", "threads of the cpu or onnxruntime backend (default: its choice)", integer(1))
    .addOption(
      new Option(
        "--activations <type>",
        "activations of matrix products: int8 or f32 on cpu and onnxruntime, f16 or f32 on cuda",
      ).choices(["int8", "f16", "f32"]),
    )
    .option("--cache-folder <path>", "where the cpu and onnxruntime backends keep packed weights")
    .option("--no-cache", "keep no packed weights: prepare them anew")
    .option("--device <n>", "number of the cuda backend's card (default: 0)", integer(0));
}

/** What a model can be given as. */
export const locations = "file, folder, hf:owner/name[:file] on the hub, or synthetic:// URL";

/** What takes tensors out of a file that would be refused with them. */
export function ignoreTensors(): Option {
  const names = "tensors to leave out, separated by commas, such as '*.lora_*'";
  return new Option("--ignore-tensors <names>", names).argParser((value: string) => value.split(","));
}

/** What opens a model whose tokenizer and table differ in size. */
export function fitVocabulary(): Option {
  return new Option("--fit-vocabulary", "leave out rows without a token and tokens without a row");
}

/** What holds an adapter. */
export const adapters = "folder of a LoRA adapter in PEFT's layout";

/** `--model` and what goes with it. */
export function addModelOptions(command: Command): Command {
  command
    .optionsGroup("Model:")
    .option("-m, --model <location>", `${locations} (default: the poet)`)
    .option("--tokenizer <path>", "tokenizer, or folder with one, for models that come without one")
    .addOption(ignoreTensors())
    .addOption(fitVocabulary())
    .option("--adapter <path>", `${adapters}, beside the weights`)
    .option("-c, --context <n>", "most tokens of a text (default: what the model was trained for)", integer(1))
    .addOption(formatOption("--quantize <format>", "quantize float weights while loading", quantizedFormats))
    .addOption(formatOption("--cache-format <format>", "keep keys and values in it (default: f32)", cacheFormats));
  return addHubOptions(addBackendOptions(command));
}

/** Sampling, and when to stop. */
export function addTextOptions(command: Command): Command {
  return command
    .optionsGroup("Text:")
    .option("-n, --max-tokens <n>", "most tokens to generate (default: until the context is full)", integer(1))
    .option("--temperature <x>", "0 takes the most probable token (default: 0.8)", number)
    .option("--top-k <n>", "keep the n most probable tokens (default: 0, all)", integer(0))
    .option("--top-p <x>", "keep the most probable tokens that together reach x (default: 0.95)", number)
    .option("--min-p <x>", "keep tokens at least x times as probable as the first (default: 0)", number)
    .option("--repetition-penalty <x>", "divide logits of tokens that occurred (default: 1)", number)
    .option("--presence-penalty <x>", "subtract from logits of generated tokens (default: 0)", number)
    .option("--frequency-penalty <x>", "subtract once for each time generated (default: 0)", number)
    .option("-s, --seed <n>", "equal seeds give equal text (default: random)", integer(0))
    .option("--logit-bias <id=value>", "add to a token's logit, -inf forbids it; repeatable", logitBias)
    .option("--stop <text>", "end before this text, or at the control token of this name; repeatable", collect)
    .option("--stop-token <id|name>", "end at this token; repeatable", collectTokens)
    .option("--ignore-eos", "go on after the model's end tokens");
}

/**
 * The library's options. A seed is drawn where none is given, so that it can be told.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for values out of range.
 */
export function generateOptions(options: TextOptions): GenerateOptions & { readonly seed: number } {
  const { maxTokens, temperature, topK, topP, minP, logitBias, stop, stopToken, ignoreEos, logprobs } = options;
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = options;
  const { seed = randomSeed() } = options;
  const given = {
    ...(maxTokens !== undefined && { maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(minP !== undefined && { minP }),
    ...(repetitionPenalty !== undefined && { repetitionPenalty }),
    ...(presencePenalty !== undefined && { presencePenalty }),
    ...(frequencyPenalty !== undefined && { frequencyPenalty }),
    ...(logitBias !== undefined && { logitBias }),
    ...(stop !== undefined && { stop }),
    ...(stopToken !== undefined && { stopTokens: stopToken }),
    ...(ignoreEos !== undefined && { ignoreEos }),
    ...(logprobs !== undefined && { logprobs }),
    seed,
  };
  checkGenerateOptions(given);
  return given;
}

export function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
