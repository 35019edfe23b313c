// What a checkpoint says about text, beside its vocabulary: whether a text begins with BOS, which tokens end it, how a
// conversation is written, what sampling its makers recommend. It stands in many places (a tokenizer's file, the small
// JSON files around it, GGUF's metadata); here it is one record, and each statement knows where it was found.

import { ggufTemplates, type NamedChatTemplate, namedOnly, type OwnChatTemplate } from "./chat-templates.ts";
import { collectEnds, type EndToken } from "./end-tokens.ts";
import type { Notice } from "./tokenizer/assemble.ts";
import { chatTemplatesOf } from "./tokenizer/json/chat-template.ts";
import { jsonObject } from "./tokenizer/json/fields.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** Sampling that the makers of a checkpoint recommend: shown and offered, never applied unasked. */
export interface OfferedSampling {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
}

/** What a checkpoint says about text, whichever of its files says it. */
export interface TextSetup {
  /** Put BOS in front of a text. */
  readonly addBos: boolean;
  /** Put EOS behind a text. */
  readonly addEos: boolean;
  /** Tokens at which generation ends, in ascending order; the tokenizer's EOS is among them. */
  readonly ends: readonly EndToken[];
  /** The checkpoint's own chat template, if it came with one. */
  readonly chatTemplate: OwnChatTemplate | undefined;
  /** Those that it came with besides, in the order of their names. */
  readonly namedTemplates: readonly NamedChatTemplate[];
  readonly sampling: OfferedSampling;
}

/** What a tokenizer alone says. */
export function textSetupOf(tokenizer: Tokenizer | undefined): TextSetup {
  const ends = collectEnds(tokenizer, () => {});
  ends.add(tokenizer?.eos, "tokenizer: EOS");
  const jinja = tokenizer?.chatTemplate;
  return {
    addBos: tokenizer?.addBos ?? false,
    addEos: tokenizer?.addEos ?? false,
    ends: ends.all(),
    chatTemplate: jinja === undefined ? undefined : { jinja, from: "tokenizer: chat template" },
    namedTemplates: [],
    sampling: {},
  };
}

const ggufEnds = ["eot_token_id", "eom_token_id", "fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id"] as const;

/**
 * What the metadata of a GGUF file say.
 *
 * @param tokenizer The one within the file, or what took its place.
 * Source: llama.cpp, src/llama-vocab.cpp (load), src/llama-arch.cpp (names of keys).
 */
export function textSetupFromGguf(
  metadata: ReadonlyMap<string, unknown>,
  tokenizer: Tokenizer | undefined,
  notice: Notice = () => {},
): TextSetup {
  const ends = collectEnds(tokenizer, notice);
  const declared = metadata.get("tokenizer.ggml.eos_token_id") === tokenizer?.eos;
  ends.add(tokenizer?.eos, declared ? "tokenizer.ggml.eos_token_id" : "tokenizer: EOS");
  for (const key of ggufEnds) ends.add(metadata.get(`tokenizer.ggml.${key}`), `tokenizer.ggml.${key}`);
  const several = metadata.get("tokenizer.ggml.eog_token_ids"); // where one key for each is not enough
  for (const id of Array.isArray(several) ? several : []) ends.add(id, "tokenizer.ggml.eog_token_ids");
  const { default: unnamed, named } = ggufTemplates(metadata, notice);
  return {
    addBos: tokenizer?.addBos ?? false,
    addEos: tokenizer?.addEos ?? false,
    ends: ends.all(),
    chatTemplate: unnamed,
    namedTemplates: named,
    sampling: offeredSampling((name) => metadata.get(`general.sampling.${ggufSampling[name]}`)),
  };
}

/** What the small files beside Hugging Face's weights say, parsed. */
export interface HuggingFaceText {
  readonly config: unknown;
  readonly generationConfig?: unknown;
  readonly tokenizerConfig?: unknown;
  readonly specialTokensMap?: unknown;
  /** The template that a file of its own holds; it comes before the one in tokenizer_config.json. */
  readonly chatTemplate?: OwnChatTemplate;
  /** Templates in files named after them; they come before those of the same name in tokenizer_config.json. */
  readonly namedTemplates?: readonly NamedChatTemplate[];
}

/**
 * What a checkpoint in Hugging Face's layout says. As in transformers the ends of `generation_config.json` take the
 * place of those in `config.json`; the tokenizer's EOS ends a text in any case, as in servers that are built on
 * transformers.
 *
 * As there templates in files come before those in tokenizer_config.json; of these the others stay, too.
 *
 * @param tokenizer The one of the files, or what took its place.
 * @throws {PolyllamaError} `ERR_TOKENIZER` for a tokenizer_config.json of the wrong form.
 * Source: transformers 4.57, generation/configuration_utils.py, tokenization_utils_base.py (_from_pretrained); vLLM,
 * engine/input_processor.
 */
export function textSetupFromHuggingFace(
  files: HuggingFaceText,
  tokenizer: Tokenizer | undefined,
  notice: Notice = () => {},
): TextSetup {
  const ends = collectEnds(tokenizer, notice);
  const generation = fieldsOf(files.generationConfig);
  const inFile = ["tokenizer_config.json", "special_tokens_map.json"].find((_, index) => {
    const fields = fieldsOf(index === 0 ? files.tokenizerConfig : files.specialTokensMap);
    return fields("eos_token") !== undefined && fields("eos_token") !== null;
  });
  ends.add(tokenizer?.eos, inFile === undefined ? "tokenizer: EOS" : `${inFile}: eos_token`);
  const declared = generation("eos_token_id") ?? undefined;
  const [id, place] =
    declared === undefined
      ? [fieldsOf(files.config)("eos_token_id"), "config.json: eos_token_id"]
      : [declared, "generation_config.json: eos_token_id"];
  for (const one of Array.isArray(id) ? id : [id]) ends.add(one, place);
  const inConfig = tokenizer === undefined ? undefined : tokenizer.chatTemplate;
  const { tokenizerConfig: config } = files;
  const named = new Map(
    [...chatTemplatesOf(config === undefined ? undefined : jsonObject(config, configName, configName))].map(
      ([name, jinja]) => [name, { jinja, from: `${configName}: chat_template ${JSON.stringify(name)}` }],
    ),
  );
  for (const { name, ...template } of files.namedTemplates ?? []) named.set(name, template);
  return {
    addBos: tokenizer?.addBos ?? false,
    addEos: tokenizer?.addEos ?? false,
    ends: ends.all(),
    chatTemplate:
      files.chatTemplate ??
      (inConfig === undefined ? undefined : { jinja: inConfig, from: `${configName}: chat_template` }),
    namedTemplates: namedOnly(named),
    sampling:
      generation("do_sample") === false
        ? { temperature: 0 }
        : offeredSampling((name) => generation(huggingFaceSampling[name])),
  };
}

const configName = "tokenizer_config.json";

function fieldsOf(value: unknown): (name: string) => unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return () => undefined;
  const fields = value as Readonly<Record<string, unknown>>; // an object, by the line above
  return (name) => (Object.hasOwn(fields, name) ? fields[name] : undefined);
}

const huggingFaceSampling = {
  temperature: "temperature",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
  repetitionPenalty: "repetition_penalty",
} as const satisfies Record<keyof OfferedSampling, string>;

const ggufSampling = {
  temperature: "temp",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
  repetitionPenalty: "penalty_repeat",
} as const satisfies Record<keyof OfferedSampling, string>;

/** The numbers among what a file recommends. */
function offeredSampling(get: (name: keyof OfferedSampling) => unknown): OfferedSampling {
  const names = Object.keys(ggufSampling) as (keyof OfferedSampling)[]; // its own keys
  const found = names.map((name) => [name, get(name)] as const);
  return Object.fromEntries(found.filter(([, value]) => typeof value === "number"));
}
