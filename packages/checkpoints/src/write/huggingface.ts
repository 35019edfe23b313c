// The small files of a checkpoint in Hugging Face's layout: config.json, generation_config.json and the tokenizer's.

import { type FormatName, type LlamaConfig, ropeScalingToHuggingFace } from "@polyllama/core";
import { asObject } from "../json.ts";
import type { TextContent } from "./gguf-text.ts";
import { generationConfig, huggingFaceTextFiles, tokenIds } from "./huggingface-text.ts";

const dtypes: Readonly<Partial<Record<FormatName, string>>> = { f32: "float32", f16: "float16", bf16: "bfloat16" };

/** Files by name, config.json last. @param format Of most weights. */
export async function huggingFaceFiles(
  content: TextContent,
  format: FormatName,
): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const files = new Map(await huggingFaceTextFiles(content));
  const own = asObject(content.metadata.get("config.json"));
  if (own === undefined && !files.has("generation_config.json") && content.tokenizer !== undefined) {
    files.set("generation_config.json", json(generationConfig(content)));
  }
  files.set("config.json", json(configJson(content.config, own, tokenIds(content), dtypes[format] ?? "float32")));
  return files;
}

/**
 * The source's own config.json where it has one, in as far as the weights have not changed; else one made of the sizes.
 */
function configJson(
  config: LlamaConfig,
  own: Readonly<Record<string, unknown>> | undefined,
  ids: Readonly<Record<string, number | readonly number[]>>,
  dtype: string,
): Record<string, unknown> {
  if (own !== undefined) {
    const { quantization_config: _, ...rest } = own;
    return {
      ...rest,
      ...("vocab_size" in own ? { vocab_size: config.vocabSize } : {}),
      tie_word_embeddings: config.tiedEmbeddings,
      ...("dtype" in own ? { dtype } : {}),
      ...("torch_dtype" in own || !("dtype" in own) ? { torch_dtype: dtype } : {}),
    };
  }
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    ...ids,
    attention_bias: false,
    head_dim: config.headDim,
    hidden_act: "silu",
    hidden_size: config.dim,
    intermediate_size: config.hiddenDim,
    max_position_embeddings: config.contextLength,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    rms_norm_eps: config.normEps,
    rope_scaling: ropeScalingToHuggingFace(config.ropeScaling),
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tiedEmbeddings,
    torch_dtype: dtype,
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
