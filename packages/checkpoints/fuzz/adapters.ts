// Adapters: a configuration beside tensors, each spoiled alone.

import { adapterOf, parseJson } from "@polyllama/core";
import { mutatedJson } from "@polyllama/test-support/fuzz/mutate";
import { flatten } from "@polyllama/test-support/fuzz/pieces";
import type { Target } from "@polyllama/test-support/fuzz/target";
import { type RawTensor, safetensors, small } from "@polyllama/test-support/hugging-face";
import { mostJsonValues } from "../src/json.ts";
import { adapterOfFile } from "../src/read/adapter.ts";
import { readAdapterConfig } from "../src/read/adapter-config.ts";
import { sourceOf } from "./source.ts";

const config = {
  peft_type: "LORA",
  task_type: "CAUSAL_LM",
  r: 2,
  lora_alpha: 4,
  use_rslora: true,
  bias: "none",
  init_lora_weights: true,
  target_modules: ["q_proj", "down_proj"],
  modules_to_save: ["lm_head"],
  rank_pattern: { "layers.1.mlp.down_proj": 3 },
  alpha_pattern: { "^model.layers.1.mlp.down_proj": 5 },
};

const tensor = (name: string, rows: number, columns: number): RawTensor => {
  return {
    name: `base_model.model.${name}.weight`,
    dtype: "F32",
    shape: [rows, columns],
    bytes: new Uint8Array(4 * rows * columns),
  };
};
const { dim, hiddenDim, vocabSize } = small;
const bytes: Uint8Array = safetensors([
  tensor("model.layers.0.self_attn.q_proj.lora_A", 2, dim),
  tensor("model.layers.0.self_attn.q_proj.lora_B", dim, 2),
  tensor("model.layers.1.mlp.down_proj.lora_A", 3, hiddenDim),
  tensor("model.layers.1.mlp.down_proj.lora_B", dim, 3),
  tensor("lm_head", vocabSize, dim),
]);

export const adapterTargets: readonly Target[] = [
  {
    name: "adapter_config.json",
    sound: [[new TextEncoder().encode(JSON.stringify(config))]],
    make: (random) => [new TextEncoder().encode(mutatedJson(JSON.stringify(config), random))],
    run: async (input) => {
      const json = parseJson(new TextDecoder().decode(flatten(input)), "adapter_config.json", mostJsonValues);
      const { lowRank } = readAdapterConfig(json, "adapter_config.json");
      for (const module of ["model.layers.1.mlp.down_proj", ""]) lowRank(module);
    },
  },
  {
    name: "adapter_model.safetensors",
    sound: [[bytes]],
    make: (random) => {
      const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
      const text = mutatedJson(new TextDecoder().decode(bytes.subarray(8, 8 + length)), random);
      const header = new TextEncoder().encode(text);
      const size = new Uint8Array(8);
      new DataView(size.buffer).setBigUint64(0, BigInt(header.length), true);
      return [size, header, bytes.subarray(8 + length)];
    },
    run: async (input, meter) => {
      const source = sourceOf("adapter_model.safetensors", input, meter);
      const adapter = await adapterOfFile(
        "safetensors",
        source,
        readAdapterConfig(config, "adapter_config.json"),
        small,
      );
      for (const name of adapter.weights.keys()) await adapter.read(name);
      for (const name of adapter.adapters.keys()) for (const half of adapterOf(name)) await adapter.read(half);
    },
  },
];
