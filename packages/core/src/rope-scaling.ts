// How a model reads positions beyond those it was first trained on: the ways in which checkpoints declare it, and how
// far each of them reaches. What the numbers do to frequencies stands in `ops/rope.ts`.

import type { Reader } from "./config-fields.ts";
import { PolyllamaError } from "./errors.ts";

/**
 * Stretching of rotary positions.
 *
 * - `linear`: positions are divided by `factor` (position interpolation, arXiv 2306.15595).
 * - `dynamic`: the base grows with the context (NTK-aware scaling). Implementations that follow the current length turn
 *   keys that are cached by another base than the queries that meet them; here the base is chosen once, when a model is
 *   loaded, for `contextLength` positions. Up to `originalContextLength` nothing is scaled.
 * - `yarn`: slow pairs are interpolated, fast ones kept, and sine and cosine are multiplied by `magnitude`
 *   (arXiv 2309.00071).
 * - `llama3`: as `yarn` in spirit, by wavelength, with two thresholds (Meta's Llama 3.1).
 */
export type RopeScaling =
  | { readonly type: "none" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "dynamic";
      readonly factor: number;
      readonly originalContextLength: number;
      readonly contextLength: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalContextLength: number;
      /** Pairs that turn more often than this within the original context keep their frequency. */
      readonly betaFast: number;
      /** Pairs that turn less often than this are divided by the factor. */
      readonly betaSlow: number;
      readonly magnitude: number;
    }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly originalContextLength: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
    };

/** Most positions that a model can be loaded with: what its configuration declares, or what its scaling reaches. */
export function longestContext({
  contextLength,
  ropeScaling: scaling,
}: {
  readonly contextLength: number;
  readonly ropeScaling: RopeScaling;
}): number {
  const original = "originalContextLength" in scaling ? scaling.originalContextLength : contextLength;
  const reached = scaling.type === "none" ? contextLength : Math.floor(original * scaling.factor);
  return Math.max(contextLength, Math.min(reached, 1 << 26));
}

/** @throws {PolyllamaError} `ERR_CONFIG`, naming the field. */
export function validateRopeScaling(scaling: RopeScaling, source: string): void {
  for (const [field, value] of Object.entries(scaling)) {
    if (field === "type" || (typeof value === "number" && value > 0 && value <= 2 ** 32)) continue;
    throw new PolyllamaError("ERR_CONFIG", `${source}: ropeScaling.${field} is ${value}; it must be positive.`);
  }
  const refuse = (problem: string): never => {
    throw new PolyllamaError("ERR_CONFIG", `${source}: ${problem}.`);
  };
  if (scaling.type === "yarn" && scaling.betaFast <= scaling.betaSlow) {
    refuse(`YaRN's beta_fast is ${scaling.betaFast}; it must be above beta_slow, ${scaling.betaSlow}`);
  }
  if (scaling.type === "dynamic" && scaling.factor < 1) refuse(`dynamic scaling by ${scaling.factor} is below 1`);
  if (scaling.type === "llama3" && scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
    const { highFrequencyFactor: high, lowFrequencyFactor: low } = scaling;
    refuse(`high_freq_factor is ${high}; it must be above low_freq_factor, ${low}`);
  }
}

/**
 * Reads `rope_parameters`, or its older form `rope_scaling` with `rope_type` or `type`, of a Hugging Face
 * `config.json`.
 */
export function huggingFaceRopeScaling(read: Reader, contextLength: number): RopeScaling {
  const scaling = read.within("rope_parameters") ?? read.within("rope_scaling");
  if (scaling === undefined) return { type: "none" };
  const { fields } = scaling;
  const partial = fields["partial_rotary_factor"] ?? 1;
  if (partial !== 1) scaling.refuse("partial_rotary_factor", partial, "only 1 is computed here");
  if (Object.keys(fields).every((name) => name === "rope_theta" || name === "partial_rotary_factor")) {
    return { type: "none" };
  }
  const field = fields["rope_type"] === undefined && fields["type"] !== undefined ? "type" : "rope_type";
  const type = fields[field];
  const factor = () => scaling.real("factor");
  const original = () => {
    const name = "original_max_position_embeddings";
    return scaling.size(name, read.fields[name] === undefined ? contextLength : read.size(name));
  };
  switch (type) {
    case "default":
      return { type: "none" };
    case "linear":
      return { type, factor: factor() };
    case "dynamic":
      if (original() !== contextLength) {
        scaling.refuse(
          "original_max_position_embeddings",
          original(),
          "dynamic scaling starts at max_position_embeddings",
        );
      }
      return { type, factor: factor(), originalContextLength: contextLength, contextLength };
    case "yarn":
      if ((fields["truncate"] ?? true) !== true) {
        scaling.refuse("truncate", fields["truncate"], "the bounds of YaRN's ramp are rounded here");
      }
      return {
        type,
        factor: factor(),
        originalContextLength: original(),
        betaFast: scaling.real("beta_fast", 32),
        betaSlow: scaling.real("beta_slow", 1),
        magnitude: yarnMagnitude(scaling, factor()),
      };
    case "llama3":
      return {
        type,
        factor: factor(),
        originalContextLength: original(),
        lowFrequencyFactor: scaling.real("low_freq_factor"),
        highFrequencyFactor: scaling.real("high_freq_factor"),
      };
    default:
      return scaling.refuse(field, type, "computed here are default, linear, dynamic, yarn and llama3");
  }
}

/** `attention_factor`, or what follows from the factor and DeepSeek's two multipliers. */
function yarnMagnitude(scaling: Reader, factor: number): number {
  if ((scaling.fields["attention_factor"] ?? undefined) !== undefined) return scaling.real("attention_factor");
  const [multiplier, divisor] = [scaling.real("mscale", 0), scaling.real("mscale_all_dim", 0)];
  if (multiplier === 0 || divisor === 0) return logarithmic(factor, 1);
  return logarithmic(factor, multiplier) / logarithmic(factor, divisor);
}

/** The paper's sqrt(1/t), equation 22, with a multiplier. */
function logarithmic(factor: number, multiplier: number): number {
  return factor <= 1 ? 1 : 0.1 * multiplier * Math.log(factor) + 1;
}

/**
 * Reads the `llama.rope.scaling.*` keys of GGUF metadata. As in llama.cpp, a factor without a type is linear, and
 * `attn_factor` multiplies the magnitude that follows from YaRN's factor.
 */
export function ggufRopeScaling(read: Reader, contextLength: number): RopeScaling {
  const key = (name: string) => `llama.rope.scaling.${name}`;
  const old = "llama.rope.scale_linear";
  const factor = () => read.real(key("factor"), read.real(old, 0)) || 1; // 0 says that there is none
  const type = read.fields[key("type")] ?? (factor() === 1 ? "none" : "linear");
  for (const [name, usual] of [
    ["yarn_log_multiplier", 0],
    ["yarn_ext_factor", 1],
    ["yarn_attn_factor", 1],
    ["alpha", 0],
    ...(type === "yarn" ? [] : ([["attn_factor", 1]] as const)),
  ] as const) {
    const value = read.fields[key(name)];
    if (value !== undefined && value !== usual) read.refuse(key(name), value, `only ${usual} is computed here`);
  }
  switch (type) {
    case "none":
      return { type: "none" };
    case "linear":
      return { type: "linear", factor: factor() };
    case "yarn":
      return {
        type: "yarn",
        factor: factor(),
        originalContextLength: read.size(key("original_context_length"), contextLength),
        betaFast: read.real(key("yarn_beta_fast"), 32),
        betaSlow: read.real(key("yarn_beta_slow"), 1),
        magnitude: logarithmic(factor(), 1) * read.real(key("attn_factor"), 1),
      };
    default:
      return read.refuse(key("type"), type, "computed here are none, linear and yarn");
  }
}

/**
 * The `rope_scaling` that declares a scaling in a Hugging Face `config.json`, the inverse of `huggingFaceRopeScaling`.
 */
export function ropeScalingToHuggingFace(scaling: RopeScaling): Readonly<Record<string, unknown>> | null {
  if (scaling.type === "none") return null;
  const common = { rope_type: scaling.type, type: scaling.type, factor: scaling.factor };
  switch (scaling.type) {
    case "yarn":
      return {
        ...common,
        original_max_position_embeddings: scaling.originalContextLength,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        attention_factor: scaling.magnitude,
      };
    case "llama3":
      return {
        ...common,
        original_max_position_embeddings: scaling.originalContextLength,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
      };
    default:
      return common;
  }
}

/**
 * The keys under `llama.rope.scaling.` that declare a scaling in GGUF, the inverse of `ggufRopeScaling`.
 *
 * @throws {PolyllamaError} `ERR_UNSUPPORTED` for scaling that GGUF has no keys for.
 */
export function ropeScalingToGguf(scaling: RopeScaling): ReadonlyMap<string, string | number> {
  switch (scaling.type) {
    case "none":
      return new Map();
    case "linear":
      return new Map(Object.entries(scaling));
    case "yarn":
      return new Map<string, string | number>([
        ["type", scaling.type],
        ["factor", scaling.factor],
        ["original_context_length", scaling.originalContextLength],
        ["yarn_beta_fast", scaling.betaFast],
        ["yarn_beta_slow", scaling.betaSlow],
        ["attn_factor", scaling.magnitude / logarithmic(scaling.factor, 1)],
      ]);
    default:
      throw new PolyllamaError(
        "ERR_UNSUPPORTED",
        `GGUF cannot declare RoPE scaling of type "${scaling.type}"; keep the checkpoint as safetensors.`,
      );
  }
}
