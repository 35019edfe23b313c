// Checkpoints that are computed instead of stored: any machine makes the same 7B, 13B or 70B without a download. A
// weight is a pure function of the seed, the tensor's name and the element's place, in 32-bit integer arithmetic alone;
// even the scales are integers until their bits are put together. The values are noise, shaped so that each matrix
// keeps the size of what it is applied to (elements of variance 1 / columns), no row has a mean, and block scales
// differ from block to block.

import {
  columnCount,
  type FormatName,
  formatBytes,
  type LlamaConfig,
  llamaGraph,
  PolyllamaError,
  type PresetName,
  presets,
  resolveRanges,
  type Tokenizer,
  textSetupOf,
  tokenizerFromGguf,
  validateConfig,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { breathe } from "../breathe.ts";
import { type Checkpoint, findWeight, type StoredTensor } from "../checkpoint.ts";
import { recipeFormat } from "../write/formats.ts";
import { fillRow, type Recipe, recipeFor, tensorKey } from "./synthetic-rows.ts";
import { syntheticVocabulary } from "./synthetic-vocabulary.ts";

/** Changes when the same URL would give other weights than before. */
const generationVersion = 1;
/** Bytes that are generated between two turns of the event loop. */
const pieceBytes = 4 * 2 ** 20;

const sizeParameters = {
  layers: "layers",
  dim: "dim",
  heads: "heads",
  kv_heads: "kvHeads",
  hidden: "hiddenDim",
  vocab: "vocabSize",
  context: "contextLength",
} as const satisfies Record<string, keyof LlamaConfig>;

/** Formats of synthetic checkpoints; `q4_k_m` is llama.cpp's mixture. */
export type SyntheticFormat = FormatName | "q4_k_m";

export const syntheticScheme = "synthetic:";

/**
 * Opens `synthetic://PRESET?seed=1&format=q4_0`. Presets are those of core. Parameters: `seed` (default 1), `format` (a
 * format of core, or `q4_k_m`, llama.cpp's mixture of q4_k and q6_k; default q4_0), and to change sizes `layers`,
 * `dim`, `heads`, `kv_heads`, `hidden`, `vocab`, `context`, `tied=true`. Norms are f32. With fewer than 259 tokens
 * there is no tokenizer.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for unknown presets or parameters, `ERR_CONFIG` for sizes that do not fit
 * together.
 */
export function openSynthetic(url: string): Checkpoint {
  const { config, seed, format, name } = parseUrl(url);
  const formatOf = (weight: WeightName, shape: readonly number[]): FormatName => {
    if (shape.length === 1) return "f32";
    return format === "q4_k_m" ? recipeFormat(format, weight, config) : format;
  };
  const weights = new Map<WeightName, WeightInfo>();
  const stored: StoredTensor[] = [];
  for (const { name: weight, shape } of llamaGraph(config).weights) {
    const info: WeightInfo = { name: weight, shape, format: formatOf(weight, shape) };
    const { blockSize } = formats[info.format];
    if (columnCount(info) % blockSize !== 0) {
      throw new PolyllamaError(
        "ERR_CONFIG",
        `${name}: rows of ${columnCount(info)} in ${weight} are not whole blocks of ${blockSize}, as ${info.format} wants. ` +
          "Change the size, or use another format, such as f16.",
      );
    }
    const elements = shape.reduce((product, size) => product * size, 1);
    weights.set(weight, info);
    stored.push({ name: weight, shape, format: info.format, bytes: formatBytes(info.format, elements), file: name });
  }
  const metadata = syntheticVocabulary(config.vocabSize, name);
  const recipes = new Map<WeightName, Recipe>();
  let tokenizer: Tokenizer | undefined;

  return {
    kind: "synthetic",
    name,
    config,
    get tokenizer() {
      if (metadata.has("tokenizer.ggml.tokens")) tokenizer ??= tokenizerFromGguf(metadata, name);
      return tokenizer;
    },
    get text() {
      return textSetupOf(this.tokenizer);
    },
    notices: [],
    stored,
    metadata,
    weights,
    async read(weight, ranges, signal) {
      signal?.throwIfAborted();
      const info = findWeight(weights, weight, name);
      const { rows, rowBytes, skippedBytes, cutBytes } = resolveRanges(info, ranges);
      const columns = columnCount(info);
      const output = new Uint8Array(cutBytes * rows.count);
      const whole = new Uint8Array(cutBytes === rowBytes ? 0 : rowBytes); // a row that is cut
      const key = tensorKey(seed, weight);
      let recipe = recipes.get(weight);
      if (recipe === undefined) {
        recipe = recipeFor(info, weight === "tok_embeddings.weight" && !config.tiedEmbeddings ? 1 : columns);
        recipes.set(weight, recipe);
      }
      for (let i = 0, pending = 0; i < rows.count; i++) {
        if (cutBytes === rowBytes) fillRow(recipe, key, rows.first + i, output, i * rowBytes, columns);
        else {
          fillRow(recipe, key, rows.first + i, whole, 0, columns);
          output.set(whole.subarray(skippedBytes, skippedBytes + cutBytes), i * cutBytes);
        }
        pending += rowBytes;
        if (pending < pieceBytes) continue;
        pending = 0;
        await breathe(signal);
      }
      return output;
    },
    async fingerprint() {
      return `${name}#${generationVersion}`;
    },
    async [Symbol.asyncDispose]() {},
  };
}

interface SyntheticModel {
  readonly config: LlamaConfig;
  readonly seed: number;
  readonly format: SyntheticFormat;
  /** The URL with all parameters that matter, in a fixed order. */
  readonly name: string;
}

function parseUrl(url: string): SyntheticModel {
  const refuse = (problem: string): never => {
    throw new PolyllamaError("ERR_OPTION", `${url}: ${problem}.`);
  };
  const [, presetName = "", query = ""] = /^synthetic:\/\/([^/?#]+)\/?(?:\?([^#]*))?$/.exec(url) ?? [];
  const known = Object.keys(presets);
  if (!known.includes(presetName)) refuse(`there is no preset "${presetName}". Known presets: ${known.join(", ")}`);
  const preset = presets[presetName as PresetName]; // one of its keys, by the line above

  const integer = (key: string, text: string, most: number): number => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    return value <= most ? value : refuse(`${key} is "${text}"; it must be an integer from 0 to ${most}`);
  };
  let seed = 1;
  let format: SyntheticFormat = "q4_0";
  const changes = new Map<string, number | boolean>();
  const seen = new Set<string>();
  for (const [key, text] of new URLSearchParams(query)) {
    if (seen.has(key)) refuse(`${key} is given twice`);
    seen.add(key);
    if (key === "seed") seed = integer(key, text, 2 ** 32 - 1);
    else if (key === "format") {
      const names = [...Object.keys(formats), "q4_k_m"];
      if (!names.includes(text)) refuse(`there is no format "${text}". Known formats: ${names.join(", ")}`);
      format = text as SyntheticFormat; // one of the names, by the line above
    } else if (key === "tied") {
      if (text !== "true" && text !== "false") refuse(`tied is "${text}"; it must be true or false`);
      changes.set("tiedEmbeddings", text === "true");
    } else if (Object.hasOwn(sizeParameters, key)) {
      // own key, as tested
      changes.set(sizeParameters[key as keyof typeof sizeParameters], integer(key, text, 2 ** 26));
    } else {
      refuse(
        `unknown parameter "${key}". Known parameters: seed, format, ${Object.keys(sizeParameters).join(", ")}, tied`,
      );
    }
  }
  const changed: LlamaConfig = { ...preset, ...Object.fromEntries(changes) };
  const kvHeads = changes.has("heads") && !changes.has("kvHeads") ? changed.heads : changed.kvHeads;
  const config = validateConfig({ ...changed, kvHeads, headDim: changed.dim / changed.heads }, url);

  const parameters = [`format=${format}`, `seed=${seed}`];
  for (const [key, field] of Object.entries(sizeParameters)) {
    if (config[field] !== preset[field]) parameters.push(`${key}=${config[field]}`);
  }
  if (config.tiedEmbeddings) parameters.push("tied=true");
  return { config, seed, format, name: `synthetic://${presetName}?${parameters.join("&")}` };
}
