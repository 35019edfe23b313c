// The same tensors under three names. Canonical are Meta's, as `llama.ts` of core writes them.

import type { WeightName } from "@polyllama/core";

interface Names {
  readonly canonical: string;
  readonly huggingFace: string;
  readonly gguf: string;
}

const whole: readonly Names[] = [
  { canonical: "tok_embeddings", huggingFace: "model.embed_tokens", gguf: "token_embd" },
  { canonical: "norm", huggingFace: "model.norm", gguf: "output_norm" },
  { canonical: "output", huggingFace: "lm_head", gguf: "output" },
];

const inLayer: readonly Names[] = [
  { canonical: "attention_norm", huggingFace: "input_layernorm", gguf: "attn_norm" },
  { canonical: "attention.wq", huggingFace: "self_attn.q_proj", gguf: "attn_q" },
  { canonical: "attention.wk", huggingFace: "self_attn.k_proj", gguf: "attn_k" },
  { canonical: "attention.wv", huggingFace: "self_attn.v_proj", gguf: "attn_v" },
  { canonical: "attention.wo", huggingFace: "self_attn.o_proj", gguf: "attn_output" },
  { canonical: "ffn_norm", huggingFace: "post_attention_layernorm", gguf: "ffn_norm" },
  { canonical: "feed_forward.w1", huggingFace: "mlp.gate_proj", gguf: "ffn_gate" },
  { canonical: "feed_forward.w3", huggingFace: "mlp.up_proj", gguf: "ffn_up" },
  { canonical: "feed_forward.w2", huggingFace: "mlp.down_proj", gguf: "ffn_down" },
];

/** Meta's names are the canonical ones. */
type Family = "canonical" | "huggingFace" | "gguf";
const layerPrefix: Readonly<Record<Family, string>> = {
  canonical: "layers.",
  huggingFace: "model.layers.",
  gguf: "blk.",
};

/** Canonical name of a tensor as a file family calls it, or undefined for a name that Llama does not have. */
export function canonicalName(stored: string, family: Family): WeightName | undefined {
  return translate(stored, family, "canonical");
}

/** Name of a canonical tensor in a file family. */
export function storedName(canonical: WeightName, family: Family): string | undefined {
  return translate(canonical, "canonical", family);
}

function translate(name: string, from: Family, to: Family): string | undefined {
  if (!name.endsWith(".weight")) return undefined;
  const stem = name.slice(0, -".weight".length);
  for (const names of whole) if (names[from] === stem) return `${names[to]}.weight`;
  if (!stem.startsWith(layerPrefix[from])) return undefined;
  const [, layer, part] = /^(0|[1-9]\d{0,5})\.(.+)$/.exec(stem.slice(layerPrefix[from].length)) ?? [];
  for (const names of inLayer) if (names[from] === part) return `${layerPrefix[to]}${layer}.${names[to]}.weight`;
  return undefined;
}

/** What trainers and wrappers put in front of every name. */
const prefixes = ["module.", "_orig_mod.", "_forward_module.", "base_model.model.", "model."];

/**
 * The prefix that all Hugging Face names of a checkpoint have in common because a wrapper was saved in place of its
 * model.
 */
export function commonPrefix(stored: readonly string[]): string {
  let common = "";
  const isKnown = (name: string): boolean => canonicalName(name.slice(common.length), "huggingFace") !== undefined;
  while (stored.length > 0 && !stored.some(isKnown)) {
    const next = prefixes.find((prefix) => stored.every((name) => name.startsWith(prefix, common.length)));
    if (next === undefined) return "";
    common += next;
  }
  return common;
}
