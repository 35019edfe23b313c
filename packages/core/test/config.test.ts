// What configurations of other models are refused by: the field, with its value, before any weight is read.

import { describe, expect, test } from "vitest";
import { configFromGguf, configFromHuggingFace, configFromMeta, PolyllamaError } from "../src/index.ts";

const huggingFace = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 64,
  num_attention_heads: 4,
  num_hidden_layers: 2,
  intermediate_size: 96,
  vocab_size: 100,
  max_position_embeddings: 4096,
};
const gguf = {
  "general.architecture": "llama",
  "llama.embedding_length": 64,
  "llama.block_count": 2,
  "llama.attention.head_count": 4,
  "llama.feed_forward_length": 96,
  "llama.context_length": 4096,
};
const meta = { dim: 64, n_layers: 2, n_heads: 4 };

const readers = {
  huggingFace: (fields: object) => configFromHuggingFace({ ...huggingFace, ...fields }, "config.json"),
  gguf: (fields: object) =>
    configFromGguf(new Map<string, unknown>(Object.entries({ ...gguf, ...fields })), "model.gguf", {
      vocabSize: 100,
      tiedEmbeddings: true,
    }),
  meta: (fields: object) => configFromMeta({ ...meta, ...fields }, "params.json", { vocabSize: 100 }),
};

const refused: readonly [keyof typeof readers, string, unknown][] = [
  ["huggingFace", "architectures", ["MistralForCausalLM"]],
  ["huggingFace", "architectures", ["LlamaForSequenceClassification"]],
  ["huggingFace", "architectures", "LlamaModel"],
  ["huggingFace", "architectures", [null]],
  ["huggingFace", "model_type", "mixtral"],
  ["huggingFace", "hidden_act", "gelu"],
  ["huggingFace", "num_local_experts", 8],
  ["huggingFace", "partial_rotary_factor", 0.5],
  ["huggingFace", "sliding_window", 4095],
  ["huggingFace", "quantization_config", { quant_method: "gptq" }],
  ["huggingFace", "num_key_value_heads", 3],
  ["huggingFace", "hidden_size", 64.5],
  ["huggingFace", "vocab_size", -1],
  ["huggingFace", "rms_norm_eps", "1e-5"],
  ["gguf", "general.architecture", "gemma"],
  ["gguf", "llama.expert_count", 8],
  ["gguf", "llama.attention.sliding_window", 100],
  ["gguf", "llama.rope.dimension_count", 8],
  ["gguf", "llama.attention.value_length", 8],
  ["gguf", "llama.attention.head_count_kv", [1, 2]],
  ["gguf", "llama.attention.causal", false],
  ["gguf", "llama.final_logit_softcapping", 30],
  ["gguf", "llama.logit_scale", 0.5],
  ["meta", "moe", { num_experts: 8 }],
  ["meta", "use_scaled_rope", true],
  ["meta", "dim", "64"],
];

describe("refused", () => {
  test.each(refused)("%s: %s = %j", (family, field, value) => {
    let error: unknown;
    try {
      readers[family]({ [field]: value });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PolyllamaError);
    expect(error).toMatchObject({ code: "ERR_CONFIG" });
    const names = field === "num_key_value_heads" ? /3 key\/value heads/ : new RegExp(field.replaceAll(".", "\\."));
    expect(String(error)).toMatch(names);
  });
});

describe("harmless", () => {
  test.each<[keyof typeof readers, object]>([
    ["huggingFace", { sliding_window: 4096 }],
    ["huggingFace", { sliding_window: 16, use_sliding_window: false }],
    ["huggingFace", { sliding_window: null, quantization_config: null, attention_bias: true }],
    ["huggingFace", { architectures: ["LLaMAForCausalLM"], model_type: "LLaMA" }],
    ["huggingFace", { architectures: [], model_type: "llama" }],
    ["huggingFace", { architectures: null, model_type: null }],
    ["huggingFace", { architectures: "LlamaForCausalLM", model_type: "llama" }],
    ["huggingFace", { architectures: undefined, model_type: "llama" }],
    ["huggingFace", { max_position_embeddings: undefined, max_sequence_length: 4096 }],
    ["huggingFace", { num_local_experts: 1, partial_rotary_factor: 1, hidden_act: "swish", pretraining_tp: 2 }],
    ["gguf", { "llama.expert_count": 0, "llama.attention.sliding_window": 4096, "llama.logit_scale": 1 }],
    ["meta", { use_scaled_rope: false, vocab_size: -1 }],
  ])("%s: %j", (family, fields) => {
    expect(readers[family](fields)).toEqual(readers[family]({}));
  });

  test("a window that only a stretched context exceeds is refused", () => {
    const stretched = { sliding_window: 4096, rope_scaling: { type: "linear", factor: 2 } };
    expect(() => readers.huggingFace(stretched)).toThrow(/sliding_window is 4096; .* up to 8192 positions/);
  });
});

test("objects whose toString is no function, and lists as deep as a file likes, are refused as any others", () => {
  const odd = { toString: 1 };
  const deep = JSON.parse(`${"[".repeat(1e5)}${"]".repeat(1e5)}`);
  for (const changed of [{ architectures: odd }, { architectures: [odd] }, { model_type: odd }, { model_type: deep }]) {
    expect(() => configFromHuggingFace(changed, "config.json")).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", message: expect.stringContaining(Object.keys(changed)[0]!) }),
    );
  }
});
