// What `adapter_config.json` says of a low-rank adapter of PEFT: its ranks and factors. Everything that would make it
// another function than x Wᵀ + scale (x Aᵀ) Bᵀ is refused by name.

import { CheckpointError, type LowRank, quoted } from "@polyllama/core";
import { asObject } from "../json.ts";

/** An adapter's configuration, as far as it matters for what is computed. */
export interface AdapterConfig {
  /** The model that it was trained on, as its author called it. */
  readonly base: string | undefined;
  /** @param module As Hugging Face names it: "model.layers.0.self_attn.q_proj". */
  lowRank(module: string): LowRank;
}

/** Fields, and the values with which they change nothing; absent and null are fine. */
const harmless: Readonly<Record<string, readonly unknown[]>> = {
  peft_type: ["LORA"],
  task_type: ["CAUSAL_LM"],
  fan_in_fan_out: [false],
  bias: ["none"],
  lora_bias: [false],
  use_dora: [false],
  use_qalora: [false],
  layer_replication: [],
  trainable_token_indices: [],
  target_parameters: [],
  alora_invocation_tokens: [],
  ensure_weight_tying: [false],
  use_bdlora: [false],
  arrow_config: [],
  kasa_config: [],
  monteclora_config: [],
  velora_config: [],
  // The others start from a base whose matrices are changed, so that the adapter fits no published model.
  init_lora_weights: [true, false, "gaussian", "eva", "orthogonal"],
};

/** @throws {CheckpointError} naming the field. */
export function readAdapterConfig(json: unknown, file: string): AdapterConfig {
  const fields = asObject(json);
  if (fields === undefined) throw refusal(file, "it is no JSON object", "Copy the adapter again.");
  if (fields["peft_type"] === undefined) {
    throw refusal(file, "it has no peft_type", "It is no configuration of PEFT; give the folder of an adapter.");
  }
  for (const [field, values] of Object.entries(harmless)) {
    const value = fields[field] ?? undefined;
    const isEmpty = value === undefined || (Array.isArray(value) && value.length === 0);
    if (isEmpty || values.includes(value)) continue;
    throw refusal(
      file,
      `${field} is ${shown(value)}`,
      "Only plain LoRA is computed here; merge it into its model with PEFT (merge_and_unload) and save that.",
    );
  }
  const rank = positive(fields["r"] ?? 8, "r", file, true);
  const alpha = positive(fields["lora_alpha"] ?? 8, "lora_alpha", file);
  const isStabilized = fields["use_rslora"] === true;
  const ranks = patterns(fields, "rank_pattern", file, true);
  const alphas = patterns(fields, "alpha_pattern", file);
  const { base_model_name_or_path: base } = fields;
  return {
    base: typeof base === "string" && base !== "" ? base : undefined,
    lowRank(module) {
      const own = { rank: ranks(module) ?? rank, alpha: alphas(module) ?? alpha };
      return { rank: own.rank, scale: own.alpha / (isStabilized ? Math.sqrt(own.rank) : own.rank) };
    },
  };
}

/**
 * Numbers by module, the first pattern that fits; one fits a module's name or the end of it, from a dot on.
 *
 * @throws {CheckpointError} for patterns that are more than names.
 */
function patterns(
  fields: Readonly<Record<string, unknown>>,
  field: string,
  file: string,
  isInteger = false,
): (module: string) => number | undefined {
  const all = Object.entries(asObject(fields[field] ?? {}) ?? {}).map(([pattern, value]) => {
    const name = pattern.replace(/^\^/, "").replace(/\\\./g, ".");
    if (!/^\w+(?:\.\w+)*$/.test(name)) {
      throw refusal(
        file,
        `${field} has the regular expression ${quoted(pattern)}`,
        "Write the names of modules in its place, such as layers.0.self_attn.q_proj.",
      );
    }
    return { name, isWhole: pattern.startsWith("^"), value: positive(value, `${field}.${pattern}`, file, isInteger) };
  });
  return (module) =>
    all.find(({ name, isWhole }) => module === name || (!isWhole && module.endsWith(`.${name}`)))?.value;
}

function positive(value: unknown, field: string, file: string, isInteger = false): number {
  if (typeof value === "number" && Number.isFinite(value) && value > 0 && (!isInteger || Number.isInteger(value))) {
    return value;
  }
  const expected = isInteger ? "an integer above 0" : "a number above 0";
  throw refusal(file, `${field} is ${shown(value)}`, `It must be ${expected}.`);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "undefined").slice(0, 60);
}

function refusal(file: string, problem: string, remedy: string): CheckpointError {
  return new CheckpointError({ file }, problem, remedy);
}
