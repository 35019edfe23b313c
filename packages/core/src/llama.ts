// Llama as a graph, to be read beside section 2.2 of the paper (arXiv 2307.09288). Weights carry the names of Meta's
// released code. Shapes: N token rows, D dim, H heads, G key/value heads, d head width, F hidden width, V vocabulary.

import type { LlamaConfig } from "./config.ts";
import { buildGraph, type Graph, type GraphBuilder, type Value } from "./graph.ts";

/**
 * The whole model: tokens [N] -> logits [N, V].
 *
 * Values can be asked for by name: `tokens`, `embedding`, per layer `layers.0.` + `attention_norm`, `q`, `k`, `v`,
 * `q_rope`, `k_rope`, `attention`, `wo`, `h`, `ffn_norm`, `gate`, `up`, `swiglu`, `down`, `out`, then `norm` and
 * `logits`.
 */
export function llamaGraph(config: LlamaConfig): Graph {
  const { dim: D, vocabSize: V, layers, normEps, tiedEmbeddings } = config;
  return buildGraph((g) => {
    const table = g.weight("tok_embeddings.weight", [V, D]);
    let x = g.embedding("embedding", g.tokens("tokens"), table); // [N, D]
    for (let layer = 0; layer < layers; layer++) x = llamaLayer(g, config, layer, x); // [N, D]
    const norm = g.rmsNorm("norm", x, g.weight("norm.weight", [D]), { eps: normEps }); // [N, D]
    const output = tiedEmbeddings ? table : g.weight("output.weight", [V, D]);
    return [g.linear("logits", norm, output)]; // [N, V]
  });
}

/** One layer alone: activations `x` [N, D] -> `layers.{layer}.out` [N, D]. For comparing backends layer by layer. */
export function llamaLayerGraph(config: LlamaConfig, layer: number): Graph {
  return buildGraph((g) => [llamaLayer(g, config, layer, g.activations("x", config.dim))]);
}

function llamaLayer(g: GraphBuilder, config: LlamaConfig, layer: number, x: Value): Value {
  const { dim: D, heads: H, kvHeads: G, headDim: d, hiddenDim: F, normEps: eps } = config;
  const rotation = { headDim: d, theta: config.ropeTheta, scaling: config.ropeScaling };
  const name = (value: string): string => `layers.${layer}.${value}`;
  const weight = (part: string, shape: readonly number[]) => g.weight(name(`${part}.weight`), shape);

  const normed = g.rmsNorm(name("attention_norm"), x, weight("attention_norm", [D]), { eps }); // [N, D]
  const q = g.linear(name("q"), normed, weight("attention.wq", [H * d, D])); // [N, H d]
  const k = g.linear(name("k"), normed, weight("attention.wk", [G * d, D])); // [N, G d]
  const v = g.linear(name("v"), normed, weight("attention.wv", [G * d, D])); // [N, G d]
  const qRotated = g.rope(name("q_rope"), q, rotation); // [N, H d]
  const kRotated = g.rope(name("k_rope"), k, rotation); // [N, G d]
  const heads = g.attention(name("attention"), qRotated, kRotated, v, { heads: H, kvHeads: G, headDim: d }); // [N, H d]
  const wo = g.linear(name("wo"), heads, weight("attention.wo", [D, H * d])); // [N, D]
  const h = g.add(name("h"), x, wo); // [N, D]

  const ffnNormed = g.rmsNorm(name("ffn_norm"), h, weight("ffn_norm", [D]), { eps }); // [N, D]
  const gate = g.linear(name("gate"), ffnNormed, weight("feed_forward.w1", [F, D])); // [N, F]
  const up = g.linear(name("up"), ffnNormed, weight("feed_forward.w3", [F, D])); // [N, F]
  const swiglu = g.swiglu(name("swiglu"), gate, up); // [N, F]
  const down = g.linear(name("down"), swiglu, weight("feed_forward.w2", [D, F])); // [N, D]
  return g.add(name("out"), h, down); // [N, D]
}
