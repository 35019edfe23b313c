// In which format each tensor of a written checkpoint stands: one for all matrices, or a recipe that gives more bits to
// those that need them, and then rules for tensors by name. The plan is made and checked before a byte is written.

import {
  columnCount,
  type FormatName,
  formatBytes,
  type LlamaConfig,
  type OptionSchema,
  option,
  PolyllamaError,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import {
  formatForRows,
  formats,
  isWritable,
  type QuantizedFormat,
  quantizedFormats,
  type WritableFormat,
} from "@polyllama/formats";
import { storedName } from "../names.ts";

/** llama.cpp's mixtures that can be made here: most matrices in the format of the name, some with more bits. */
export type RecipeName = "q4_k_s" | "q4_k_m" | "q5_k_s" | "q5_k_m";

/** What matrices are written as. A format's name alone means every matrix, `keep` the format that each has. */
export type TargetFormat = "keep" | WritableFormat | RecipeName;

/** The format of the tensors that a pattern matches. */
export interface TensorRule {
  /**
   * A tensor's name as GGUF, Hugging Face or Meta spell it, with or without `.weight`; `*` stands for any text and
   * `{0-3,31}` for these numbers, as in `blk.{0-3}.attn_*`. With a block format it means the matrices among them.
   */
  readonly pattern: string;
  readonly format: WritableFormat;
}

/** Which tensor is written in which format. */
export interface FormatOptions {
  /** Default `keep`. */
  readonly format?: TargetFormat;
  /** Exceptions from `format`; of rules that match the same tensor the last one holds. */
  readonly tensors?: readonly TensorRule[];
  /**
   * Quantize also what is in another block format already, which loses more than quantizing the original. Default
   * false.
   */
  readonly requantize?: boolean;
}

/** A tensor that will be written. */
export interface PlannedTensor {
  /** The weight as the source has it. */
  readonly source: WeightInfo;
  /** Name within the file. */
  readonly name: string;
  readonly format: FormatName;
  readonly bytes: number;
  /** The format that was asked for, where rows are not whole blocks of it. */
  readonly insteadOf?: FormatName;
}

/** What a file of each kind can hold. */
export type FileFamily = "gguf" | "huggingFace";

const floats: readonly FormatName[] = ["f32", "f16", "bf16"];

/** llama.cpp's number for each recipe, in `general.file_type`. */
export const recipes: Readonly<Record<RecipeName, { readonly base: QuantizedFormat; readonly fileType: number }>> = {
  q4_k_s: { base: "q4_k", fileType: 14 },
  q4_k_m: { base: "q4_k", fileType: 15 },
  q5_k_s: { base: "q5_k", fileType: 16 },
  q5_k_m: { base: "q5_k", fileType: 17 },
};

/** All that `format` may be, apart from `keep`. */
export const targetFormats: readonly Exclude<TargetFormat, "keep">[] = [
  ...(["f32", "f16", "bf16"] as const),
  ...quantizedFormats,
  ...(Object.keys(recipes) as RecipeName[]), // the record's own keys
];

export const formatOptionTypes: OptionSchema<FormatOptions> = {
  format: option.oneOf(["keep", ...targetFormats]),
  tensors: option.list(option.anyObject, "a list of rules, { pattern, format }"),
  requantize: option.boolean,
};

export function isRecipe(format: string): format is RecipeName {
  return Object.hasOwn(recipes, format);
}

/**
 * The format of a matrix in one of llama.cpp's mixtures (llama-quant.cpp), without its exceptions for models of 80
 * layers and for experts: the output in q6_k; of `_m`, values and down projections of the first and last eighth of the
 * layers and of every third between them in q6_k; of `q4_k_s`, values of the first four layers and down projections of
 * the first eighth in q5_k.
 */
export function recipeFormat(recipe: RecipeName, name: WeightName, config: LlamaConfig): QuantizedFormat {
  const { base } = recipes[recipe];
  const { layers, tiedEmbeddings } = config;
  if (name === "output.weight" || (name === "tok_embeddings.weight" && tiedEmbeddings)) return "q6_k";
  const [, number, part] = /^layers\.(\d+)\.(attention\.wv|feed_forward\.w2)\./.exec(name) ?? [];
  if (number === undefined) return base;
  const layer = Number(number);
  const eighth = Math.floor(layers / 8);
  if (recipe.endsWith("_m")) {
    const more = layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
    return more ? "q6_k" : base;
  }
  return recipe === "q4_k_s" && layer < (part === "attention.wv" ? 4 : eighth) ? "q5_k" : base;
}

/**
 * Decides about every tensor.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for a format that cannot be written, that the file cannot hold, or that the
 * rows do not fit where a rule asks for it; for a rule that matches nothing; and for quantizing again without
 * `requantize`.
 */
export function planTensors(
  source: WeightSource & { readonly config: LlamaConfig },
  family: FileFamily,
  { format = "keep", tensors: rules = [], requantize = false }: FormatOptions,
): readonly PlannedTensor[] {
  checkTarget(format, family);
  const matchers = rules.map((rule) => ({ ...rule, matches: matcher(rule.pattern), used: false }));
  for (const rule of matchers) checkTarget(rule.format, family);
  const plan = [...source.weights.values()].map((info): PlannedTensor => {
    const name = storedName(info.name, family);
    if (name === undefined) {
      throw new PolyllamaError("ERR_OPTION", `There is no name for the weight "${info.name}" in such a file.`);
    }
    const matching = matchers.filter((rule) => rule.matches(info.name) && fitsNorms(rule.format, info));
    for (const rule of matching) rule.used = true;
    const rule = matching.at(-1);
    const wanted = rule?.format ?? defaultFormat(info, format, family, source.config);
    const written = wanted === info.format ? wanted : fit(info, wanted, rule !== undefined, requantize, source.name);
    if (family === "huggingFace" && !floats.includes(written)) {
      throw new PolyllamaError(
        "ERR_OPTION",
        `${source.name}: ${info.name} is ${written}, which safetensors files do not hold. Choose a float format: f16, bf16 or f32.`,
      );
    }
    const bytes = formatBytes(written, columnCount(info)) * rowCount(info);
    return { source: info, name, format: written, bytes, ...(written !== wanted && { insteadOf: wanted }) };
  });
  const unused = matchers.find(({ used }) => !used);
  if (unused !== undefined) {
    const examples = plan.slice(0, 3).map(({ name }) => name);
    throw new PolyllamaError(
      "ERR_OPTION",
      `The pattern "${unused.pattern}" matches no tensor that could be ${unused.format}. Names are such as ${examples.join(", ")}.`,
    );
  }
  return plan;
}

/** Block formats are for matrices alone, so that a rule for whole layers leaves their norms as they are. */
function fitsNorms(format: WritableFormat, { shape }: WeightInfo): boolean {
  return shape.length > 1 || formats[format].blockSize === 1;
}

function checkTarget(format: TargetFormat, family: FileFamily): void {
  if (format !== "keep" && !isRecipe(format) && !isWritable(format)) {
    throw new PolyllamaError("ERR_OPTION", `There is no format "${String(format)}" to write.`);
  }
  if (family === "huggingFace" && format !== "keep" && !floats.includes(format as FormatName)) {
    throw new PolyllamaError(
      "ERR_OPTION",
      `Safetensors files do not hold ${format}. Choose f16, bf16 or f32, or write a .gguf file.`,
    );
  }
}

function defaultFormat(info: WeightInfo, format: TargetFormat, family: FileFamily, config: LlamaConfig): FormatName {
  if (info.shape.length === 1) {
    if (family === "gguf") return "f32"; // as llama.cpp wants its norms
    return format === "keep" || isRecipe(format) ? info.format : format;
  }
  if (format === "keep") return info.format;
  return isRecipe(format) ? recipeFormat(format, info.name, config) : format;
}

/** The format that comes nearest to the wanted one for these rows. */
function fit(
  info: WeightInfo,
  wanted: FormatName,
  explicit: boolean,
  requantize: boolean,
  source: string,
): WritableFormat {
  const columns = columnCount(info);
  if (!isWritable(wanted)) throw new PolyllamaError("ERR_OPTION", `Weights cannot be written as ${wanted} here.`);
  if (formats[wanted].blockSize === 1) return wanted;
  if (formats[info.format].blockSize > 1 && !requantize) {
    throw new PolyllamaError(
      "ERR_OPTION",
      `${source}: ${info.name} is ${info.format} already; as ${wanted} it would lose more than the original model would. ` +
        "Start from the original, or allow it (requantize; --requantize on the command line).",
    );
  }
  const near = formatForRows(columns, wanted as QuantizedFormat); // a block format, by the line above
  if (near === wanted) return near;
  if (explicit) {
    const { blockSize } = formats[wanted];
    throw new PolyllamaError(
      "ERR_OPTION",
      `${info.name} has rows of ${columns}, which are no whole ${wanted} blocks of ${blockSize}.`,
    );
  }
  if (near !== undefined) return near;
  return isWritable(info.format) ? info.format : "f16";
}

/** @throws {PolyllamaError} `ERR_OPTION` for a pattern that is not valid. */
function matcher(pattern: string): (name: WeightName) => boolean {
  const escaped = pattern.replace(/\.weight$/, "").replace(/[.+?^$()|[\]\\]/g, "\\$&");
  const source = escaped.replaceAll("*", ".*").replace(/\{([^{}]*)\}/g, (_, list: string) => {
    return `(?:${list.split(",").flatMap(numbers).join("|")})`;
  });
  if (/[{}]/.test(source)) refusePattern(pattern);
  const expression = new RegExp(`^${source}$`);
  return (name) =>
    [name, storedName(name, "gguf"), storedName(name, "huggingFace")].some(
      (spelled) => spelled !== undefined && expression.test(spelled.replace(/\.weight$/, "")),
    );

  function numbers(part: string): string[] {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
    if (first === undefined || Number(last) < Number(first)) return refusePattern(pattern);
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => String(Number(first) + i));
  }
}

function refusePattern(pattern: string): never {
  throw new PolyllamaError(
    "ERR_OPTION",
    `"${pattern}" is no pattern: in braces stand numbers and ranges, as in blk.{0-3,31}.attn_v.`,
  );
}
