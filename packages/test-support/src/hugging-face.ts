// A small model whose elements say where they belong, as Hugging Face writes one.

import { type LlamaConfig, llamaGraph } from "@polyllama/core";

export const small: LlamaConfig = {
  dim: 24,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  hiddenDim: 40,
  vocabSize: 16,
  contextLength: 32,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
};

export function huggingFaceConfig(config: LlamaConfig): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: config.dim,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    intermediate_size: config.hiddenDim,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEps,
    tie_word_embeddings: config.tiedEmbeddings,
  };
}

export interface RawTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A safetensors file; `edit` may spoil its header. */
export function safetensors(
  tensors: readonly RawTensor[],
  edit: (header: Record<string, Record<string, unknown>>) => unknown = (header) => header,
): Uint8Array {
  const header: Record<string, Record<string, unknown>> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const edited = edit(header);
  const text = typeof edited === "string" ? edited : JSON.stringify(edited);
  return withHeader(text, ...tensors.map(({ bytes }) => bytes));
}

export function withHeader(text: string, ...data: readonly Uint8Array[]): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(encoded.length), true);
  return Buffer.concat([length, encoded, ...data]);
}

const huggingFaceParts: Readonly<Record<string, string>> = {
  attention_norm: "input_layernorm",
  "attention.wq": "self_attn.q_proj",
  "attention.wk": "self_attn.k_proj",
  "attention.wv": "self_attn.v_proj",
  "attention.wo": "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  "feed_forward.w1": "mlp.gate_proj",
  "feed_forward.w3": "mlp.up_proj",
  "feed_forward.w2": "mlp.down_proj",
};

function huggingFaceName(canonical: string): string {
  if (canonical === "tok_embeddings.weight") return "model.embed_tokens.weight";
  if (canonical === "output.weight") return "lm_head.weight";
  if (canonical === "norm.weight") return "model.norm.weight";
  const [, layer, part = ""] = /^layers\.(\d+)\.(.+)\.weight$/.exec(canonical) ?? [];
  return `model.layers.${layer}.${huggingFaceParts[part]}.weight`;
}

/** What the tests' checkpoints hold in a row: row and column of the canonical order, told apart by tensor. */
export function coordinates(tensor: number, row: number, columns: number): Float32Array {
  return Float32Array.from({ length: columns }, (_, column) => tensor * 65536 + row * 256 + column);
}

/** Where Hugging Face stores a row of wq or wk: even rows of a head first, then odd ones. */
function storedRow(row: number, headDim: number): number {
  const within = row % headDim;
  return row - within + (within >> 1) + (within % 2 === 0 ? 0 : headDim / 2);
}

/** All tensors of a Hugging Face checkpoint whose values encode where they belong in canonical order, as f32. */
export function huggingFaceTensors(config: LlamaConfig): RawTensor[] {
  return llamaGraph(config).weights.map(({ name, shape }, tensor) => {
    const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      const stored = /attention\.w[qk]\./.test(name) ? storedRow(row, config.headDim) : row;
      values.set(coordinates(tensor, row, columns), stored * columns);
    }
    return { name: huggingFaceName(name), dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
  });
}

/** The files of a small checkpoint in Hugging Face's layout. @param fields More of config.json, or others. */
export function huggingFaceFiles(
  config: LlamaConfig = small,
  fields: Readonly<Record<string, unknown>> = {},
): { readonly "model.safetensors": Uint8Array; readonly "config.json": string } {
  return {
    "model.safetensors": safetensors(huggingFaceTensors(config)),
    "config.json": JSON.stringify({ ...huggingFaceConfig(config), ...fields }),
  };
}
