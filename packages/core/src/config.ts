// What distinguishes one Llama from another: sizes and a few constants. Each checkpoint family writes them under its
// own names; this file reads all of them into one record and refuses what this project would compute wrongly.

import { type Reader, reader } from "./config-fields.ts";
import { PolyllamaError } from "./errors.ts";
import { plainText } from "./printable.ts";
import {
  ggufRopeScaling,
  huggingFaceRopeScaling,
  longestContext,
  type RopeScaling,
  validateRopeScaling,
} from "./rope-scaling.ts";

/** The sizes and constants of a Llama model. All sizes are counts of elements. */
export interface LlamaConfig {
  /** Width of the residual stream, D. */
  readonly dim: number;
  /** Number of transformer layers, L. */
  readonly layers: number;
  /** Number of query heads, H. */
  readonly heads: number;
  /** Number of key/value heads, G: H for multi-head, fewer for grouped-query, 1 for multi-query attention. */
  readonly kvHeads: number;
  /** Width of one head, d. */
  readonly headDim: number;
  /** Width of the feed-forward layer, F. */
  readonly hiddenDim: number;
  /** Number of tokens, V. */
  readonly vocabSize: number;
  /** Positions the model was trained for. */
  readonly contextLength: number;
  /** Added to the mean square inside RMSNorm's root. */
  readonly normEps: number;
  /** Base of the rotary frequencies. */
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Whether the output matrix is the embedding table. */
  readonly tiedEmbeddings: boolean;
}

/**
 * Number of trained parameters.
 *
 * @example parameterCount(presets["llama-2-7b"]) === 6_738_415_616
 */
export function parameterCount(config: LlamaConfig): number {
  const { dim, layers, heads, kvHeads, headDim, hiddenDim, vocabSize, tiedEmbeddings } = config;
  const attention = 2 * dim * heads * headDim + 2 * dim * kvHeads * headDim;
  const feedForward = 3 * dim * hiddenDim;
  return layers * (attention + feedForward + 2 * dim) + (tiedEmbeddings ? 1 : 2) * vocabSize * dim + dim;
}

/** The configuration as it is computed when loaded for that many positions; only dynamic scaling depends on it. */
export function configForContext(config: LlamaConfig, contextLength: number): LlamaConfig {
  const { ropeScaling } = config;
  return ropeScaling.type === "dynamic" ? { ...config, ropeScaling: { ...ropeScaling, contextLength } } : config;
}

/**
 * Reads a Hugging Face `config.json`.
 *
 * @param source Name used in errors, usually the file's path.
 * @throws {PolyllamaError} `ERR_CONFIG` when a field is missing or declares something else than Llama.
 */
export function configFromHuggingFace(json: unknown, source: string): LlamaConfig {
  const read = reader(json, source);
  refuseOtherArchitectures(read);
  refuseUnless(read, {
    hidden_act: ["silu", "swish"],
    num_local_experts: [0, 1],
    num_experts: [0, 1],
    partial_rotary_factor: [1],
    quantization_config: [],
  });
  const dim = read.size("hidden_size");
  const heads = read.size("num_attention_heads");
  // the second in 2023
  const contextLength = read.size("max_position_embeddings", read.size("max_sequence_length", 2048));
  const fallbackTheta = read.real("rope_theta", 10000);
  const config = validateConfig(
    {
      dim,
      layers: read.size("num_hidden_layers"),
      heads,
      kvHeads: read.size("num_key_value_heads", heads),
      headDim: read.size("head_dim", dim / heads),
      hiddenDim: read.size("intermediate_size"),
      vocabSize: read.size("vocab_size"),
      contextLength,
      normEps: read.real("rms_norm_eps", 1e-6),
      ropeTheta: read.within("rope_parameters")?.real("rope_theta", fallbackTheta) ?? fallbackTheta,
      ropeScaling: huggingFaceRopeScaling(read, contextLength),
      tiedEmbeddings: read.fields["tie_word_embeddings"] === true,
    },
    source,
  );
  return read.fields["use_sliding_window"] === false ? config : checkWindow(read, "sliding_window", config);
}

/** The spelling has changed over the years (LLaMAForCausalLM), and files that were edited by hand may leave it out. */
function refuseOtherArchitectures(read: Reader): void {
  const declared = read.fields["architectures"] ?? [];
  const names: readonly unknown[] = Array.isArray(declared) ? declared : [declared];
  if (names.length > 0 && !names.some((name) => plainText(name).toLowerCase() === "llamaforcausallm")) {
    read.refuse("architectures", declared, "only LlamaForCausalLM is computed here; this is another kind of model");
  }
  const modelType = read.fields["model_type"] ?? "llama";
  if (plainText(modelType).toLowerCase() !== "llama")
    read.refuse("model_type", modelType, 'only "llama" is computed here');
}

/** Refuses fields that hold something else than what Llama computes; absent and null are fine. */
function refuseUnless(read: Reader, harmless: Readonly<Record<string, readonly unknown[]>>): void {
  for (const [field, values] of Object.entries(harmless)) {
    const value = read.fields[field] ?? undefined;
    if (value === undefined || values.includes(value)) continue;
    const only = values.length === 0 ? "Llama 2 has nothing of the kind" : `only ${values[0]} is computed here`;
    read.refuse(field, value, only);
  }
}

/** A window that the longest context fits into changes nothing; a smaller one does. */
function checkWindow(read: Reader, field: string, config: LlamaConfig): LlamaConfig {
  const window = read.fields[field] ?? undefined;
  const context = longestContext(config);
  if (window === undefined || window === 0 || (typeof window === "number" && window >= context)) return config;
  return read.refuse(field, window, `Llama 2 attends to its whole context, here up to ${context} positions`);
}

/** What Meta's `params.json` leaves to be read from the weights themselves. */
export interface MetaFacts {
  /** Rows of the embedding table; used where `vocab_size` is -1. */
  readonly vocabSize: number;
  /** Rows of w1; where absent it is computed as Meta's code does, from `multiple_of` and `ffn_dim_multiplier`. */
  readonly hiddenDim?: number;
}

/**
 * Reads Meta's `params.json`.
 *
 * @throws {PolyllamaError} `ERR_CONFIG`
 */
export function configFromMeta(json: unknown, source: string, facts: MetaFacts): LlamaConfig {
  const read = reader(json, source);
  const dim = read.size("dim");
  const heads = read.size("n_heads");
  const declared = read.fields["vocab_size"];
  refuseUnless(read, { use_scaled_rope: [false], moe: [], moe_args: [], quantization_args: [], lora_args: [] });
  return validateConfig(
    {
      dim,
      layers: read.size("n_layers"),
      heads,
      kvHeads: read.size("n_kv_heads", heads),
      headDim: dim / heads,
      hiddenDim: facts.hiddenDim ?? metaHiddenDim(dim, read),
      vocabSize: declared === -1 || declared === undefined ? facts.vocabSize : read.size("vocab_size"),
      contextLength: read.size("max_seq_len", 4096),
      normEps: read.real("norm_eps", 1e-5),
      ropeTheta: read.real("rope_theta", 10000),
      ropeScaling: { type: "none" },
      tiedEmbeddings: false,
    },
    source,
  );
}

/**
 * What GGUF leaves to be read from the tensors: the vocabulary where it is not declared, and whether `output` exists.
 */
export interface GgufFacts {
  readonly vocabSize: number;
  readonly tiedEmbeddings: boolean;
}

/**
 * Reads the `llama.*` keys of GGUF metadata.
 *
 * @throws {PolyllamaError} `ERR_CONFIG`
 */
export function configFromGguf(metadata: ReadonlyMap<string, unknown>, source: string, facts: GgufFacts): LlamaConfig {
  const read = reader(Object.fromEntries(metadata), source);
  const architecture = metadata.get("general.architecture");
  if (architecture !== "llama") read.refuse("general.architecture", architecture, 'only "llama" is computed here');
  refuseUnless(read, {
    "llama.expert_count": [0],
    "llama.attention.causal": [true],
    "llama.attention.scale": [0],
    "llama.attention.clamp_kqv": [0],
    "llama.attention.max_alibi_bias": [0],
    "llama.use_parallel_residual": [false],
    "llama.embedding_scale": [0, 1],
    "llama.residual_scale": [0, 1],
    "llama.logit_scale": [0, 1],
    "llama.attn_logit_softcapping": [0],
    "llama.final_logit_softcapping": [0],
  });
  const dim = read.size("llama.embedding_length");
  const heads = read.size("llama.attention.head_count");
  const headDim = read.size("llama.attention.key_length", dim / heads);
  const rotated = read.size("llama.rope.dimension_count", headDim);
  if (rotated !== headDim)
    read.refuse("llama.rope.dimension_count", rotated, `Llama 2 rotates whole heads of ${headDim}`);
  const values = read.size("llama.attention.value_length", headDim);
  if (values !== headDim) read.refuse("llama.attention.value_length", values, `keys have ${headDim}`);
  const contextLength = read.size("llama.context_length");
  const config = validateConfig(
    {
      dim,
      layers: read.size("llama.block_count"),
      heads,
      kvHeads: read.size("llama.attention.head_count_kv", heads),
      headDim,
      hiddenDim: read.size("llama.feed_forward_length"),
      vocabSize: facts.vocabSize,
      contextLength,
      normEps: decimalOfF32(read.real("llama.attention.layer_norm_rms_epsilon", 1e-5)),
      ropeTheta: decimalOfF32(read.real("llama.rope.freq_base", 10000)),
      ropeScaling: ggufRopeScaling(read, contextLength),
      tiedEmbeddings: facts.tiedEmbeddings,
    },
    source,
  );
  return checkWindow(read, "llama.attention.sliding_window", config);
}

/**
 * The number that was meant where GGUF keeps it as f32: the shortest decimal that rounds to it, such as 1e-5 for
 * 9.99999974737875e-6, so that a model computes the same from any file.
 */
function decimalOfF32(value: number): number {
  if (Math.fround(value) !== value) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/**
 * Checks that sizes are positive integers that fit together.
 *
 * @throws {PolyllamaError} `ERR_CONFIG`, naming the field.
 */
export function validateConfig(config: LlamaConfig, source: string): LlamaConfig {
  const limits = {
    dim: 1 << 20,
    layers: 4096,
    heads: 1 << 14,
    kvHeads: 1 << 14,
    headDim: 1 << 14,
    hiddenDim: 1 << 22,
    vocabSize: 1 << 24,
    contextLength: 1 << 26,
  } as const;
  for (const [field, most] of Object.entries(limits)) {
    const value = config[field as keyof typeof limits]; // Object.entries forgets the keys' names
    if (!Number.isSafeInteger(value) || value < 1 || value > most) {
      throw new PolyllamaError(
        "ERR_CONFIG",
        `${source}: ${field} is ${value}; it must be an integer from 1 to ${most}.`,
      );
    }
  }
  if (config.heads % config.kvHeads !== 0) {
    throw new PolyllamaError(
      "ERR_CONFIG",
      `${source}: ${config.heads} query heads cannot share ${config.kvHeads} key/value heads evenly.`,
    );
  }
  if (config.headDim % 2 !== 0) {
    throw new PolyllamaError("ERR_CONFIG", `${source}: heads of ${config.headDim} cannot be rotated in pairs.`);
  }
  if (!(config.normEps > 0 && config.normEps < 1)) {
    throw new PolyllamaError("ERR_CONFIG", `${source}: normEps is ${config.normEps}; it must lie between 0 and 1.`);
  }
  if (!(config.ropeTheta >= 1 && config.ropeTheta < 1e12)) {
    throw new PolyllamaError("ERR_CONFIG", `${source}: ropeTheta is ${config.ropeTheta}; it must be at least 1.`);
  }
  validateRopeScaling(config.ropeScaling, source);
  return config;
}

function metaHiddenDim(dim: number, read: Reader): number {
  const multiple = read.size("multiple_of", 256);
  const multiplier = read.real("ffn_dim_multiplier", 1);
  const wanted = Math.trunc(multiplier * Math.trunc((2 * 4 * dim) / 3));
  return multiple * Math.ceil(wanted / multiple);
}
