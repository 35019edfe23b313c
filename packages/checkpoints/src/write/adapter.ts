// An adapter as PEFT saves one: `adapter_model.safetensors`, with Hugging Face's names and half-split rows of B, and
// `adapter_config.json`. Names of fields and tensors as in PEFT 0.21, src/peft/tuners/lora/config.py and
// src/peft/utils/save_and_load.py.

import { join } from "node:path";
import {
  type AdapterSource,
  adapterOf,
  checkOptions,
  checkValue,
  formatBytes,
  type LlamaConfig,
  type LowRank,
  type OptionSchema,
  option,
  type WeightName,
} from "@polyllama/core";
import { storedName } from "../names.ts";
import { createQuantizerPool } from "../quantize/pool.ts";
import type { PlannedTensor } from "./formats.ts";
import { destinationType } from "./options.ts";
import { explainWriting, outputFolder, writeDurably, writeTensors } from "./output.ts";
import { convertedRows } from "./rows.ts";
import { headerEntry } from "./safetensors.ts";
import { layOut } from "./safetensors-header.ts";
import { totalBytes } from "./shards.ts";

/** Options of {@link writeAdapter}. */
export interface WriteAdapterOptions {
  /** What the model that it was trained on is called: a path, or a repository on the hub. Default: not said. */
  readonly base?: string;
  /** Write factors as rsLoRA has them, alpha / sqrt(r); default false. */
  readonly rankStabilized?: boolean;
  /** Replace what is there. Default false. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}

const optionTypes: OptionSchema<WriteAdapterOptions> = {
  base: option.string,
  rankStabilized: option.boolean,
  overwrite: option.boolean,
  signal: option.signal,
};

const prefix = "base_model.model.";

/**
 * Writes an adapter into a folder that PEFT loads: `PeftModel.from_pretrained(base, folder)`. Tensors keep their format.
 *
 * @param config Of the model that it is for.
 * @throws {CheckpointError} when files cannot be written or a value is NaN or infinite; nothing is left behind.
 * `PolyllamaError` `ERR_OPTION`.
 */
export async function writeAdapter(
  destination: string,
  adapter: AdapterSource,
  config: LlamaConfig,
  options: WriteAdapterOptions = {},
): Promise<void> {
  checkValue(destination, destinationType, "destination", "writeAdapter()");
  checkOptions(options, optionTypes, "writeAdapter()");
  const { overwrite = false, signal } = options;
  const plan = planned(adapter);
  const { header, offsets, size } = layOut(plan.map(headerEntry));
  const json = `${JSON.stringify(configJson(adapter, config, options), undefined, 2)}\n`;
  const output = { bytes: totalBytes(plan) + json.length, overwrite, sources: [], onNote: undefined };
  await using out = await outputFolder(destination, output);
  await using pool = createQuantizerPool();
  try {
    const stretches = plan.map((tensor, i) => {
      const isRotated = /attention\.w[qk]\.weight(?:\.lora_b)?$/.test(tensor.source.name);
      const order = { signal, headDim: isRotated ? config.headDim : undefined };
      return { offset: offsets[i]!, pieces: convertedRows(adapter, tensor, pool, order) };
    });
    await writeTensors(out.temporary("adapter_model.safetensors"), header, stretches, size, () => undefined);
    await writeDurably(out.temporary("adapter_config.json"), json);
    signal?.throwIfAborted();
    await out.commit();
  } catch (error) {
    throw explainWriting(error, join(destination, "adapter_model.safetensors"));
  }
}

/** All tensors under their names in the file: A and B of each matrix, then weights that it brings whole. */
function planned(adapter: AdapterSource): readonly PlannedTensor[] {
  const names = new Map<WeightName, string>();
  for (const matrix of adapter.adapters.keys()) {
    for (const [i, half] of adapterOf(matrix).entries()) {
      names.set(half, `${prefix}${moduleOf(matrix)}.lora_${i === 0 ? "A" : "B"}.weight`);
    }
  }
  for (const name of wholeWeights(adapter)) names.set(name, `${prefix}${moduleOf(name)}.weight`);
  return [...names].map(([weight, name]) => {
    const source = adapter.weights.get(weight)!; // an adapter has both halves, and the others are listed
    const { shape, format } = source;
    const elements = shape.reduce((product, dim) => product * dim, 1);
    return { source, name, format, bytes: formatBytes(format, elements) };
  });
}

function wholeWeights({ adapters, weights }: AdapterSource): readonly WeightName[] {
  const halves = new Set([...adapters.keys()].flatMap(adapterOf));
  return [...weights.keys()].filter((name) => !halves.has(name));
}

/** "model.layers.0.self_attn.q_proj" */
function moduleOf(weight: WeightName): string {
  return storedName(weight, "huggingFace")!.slice(0, -".weight".length); // a weight of Llama
}

function configJson(
  adapter: AdapterSource,
  { layers }: LlamaConfig,
  { base, rankStabilized = false }: WriteAdapterOptions,
): Record<string, unknown> {
  const all = [...adapter.adapters].map(([name, lowRank]) => {
    return { module: moduleOf(name), rank: lowRank.rank, alpha: alphaOf(lowRank, rankStabilized) };
  });
  const rank = mostCommon(all.map((each) => each.rank)) ?? 8;
  const alpha = mostCommon(all.map((each) => each.alpha)) ?? 8;
  const exceptions = (field: "rank" | "alpha", usual: number): Record<string, number> =>
    Object.fromEntries(
      all
        .filter((each) => each[field] !== usual)
        // from the layers on, as early versions want something before a pattern
        .map((each) => [each.module.replace(/^model\./, ""), each[field]]),
    );
  const whole = wholeWeights(adapter).map(moduleOf);
  return {
    base_model_name_or_path: base ?? null,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_dropout: 0,
    // Only the tables by the ends of their names, by which PEFT finds modules: "norm" would be any norm.
    modules_to_save: whole.length === 0 ? null : whole.map((name) => name.replace(/^model\.(?=embed_tokens)/, "")),
    peft_type: "LORA",
    r: rank,
    rank_pattern: exceptions("rank", rank),
    alpha_pattern: exceptions("alpha", alpha),
    target_modules: targets(
      all.map(({ module }) => module),
      layers,
    ),
    task_type: "CAUSAL_LM",
    use_rslora: rankStabilized,
  };
}

/** An integer where one gives the same factor. */
function alphaOf({ rank, scale }: LowRank, rankStabilized: boolean): number {
  const divisor = rankStabilized ? Math.sqrt(rank) : rank;
  const rounded = Math.round(scale * divisor);
  return rounded / divisor === scale ? rounded : scale * divisor;
}

/** By the ends of their names what every layer has; others by all of it. */
function targets(modules: readonly string[], layers: number): readonly string[] {
  const endOf = (module: string): string => module.slice(module.lastIndexOf(".") + 1);
  const counts = new Map<string, number>();
  for (const module of modules) counts.set(endOf(module), (counts.get(endOf(module)) ?? 0) + 1);
  return [...new Set(modules.map((module) => (counts.get(endOf(module)) === layers ? endOf(module) : module)))].sort();
}

function mostCommon(values: readonly number[]): number | undefined {
  const count = (value: number): number => values.filter((other) => other === value).length;
  return [...new Set(values)].sort((a, b) => count(b) - count(a))[0];
}
