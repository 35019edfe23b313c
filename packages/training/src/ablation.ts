// The ablation of attention (Llama 2, appendix A.2.1): the same model with multi-head, grouped-query and multi-query
// attention, where what the fewer keys and values save goes into a wider feed-forward layer, so that all three have the
// same number of parameters. The paper widens by 1.33 for multi-query and by 1.3 for grouped-query attention with 8
// key/value heads. That evens out where the feed-forward layer is about twice as wide as the model; the published models
// have 8/3, where it takes about 1.25 and 1.22.

import { type LlamaConfig, OptionError, parameterCount } from "@polyllama/core";

/** The three models. */
export interface AttentionAblation {
  /** Multi-head: a key/value head for each query head. */
  readonly mha: LlamaConfig;
  /** Grouped-query. */
  readonly gqa: LlamaConfig;
  /** Multi-query: one key/value head. */
  readonly mqa: LlamaConfig;
}

/** Options of {@link attentionAblation}. */
export interface AblationOptions {
  /** Key/value heads of grouped-query attention; default 8. */
  readonly kvHeads?: number;
  /**
   * How feed-forward layers are widened: by the paper's factors (the default), or by those that make the parameters
   * equal.
   */
  readonly widening?: "paper" | "equal";
  /** Of which widths are multiples; default 1. Published models have 256. */
  readonly multiple?: number;
}

/** The largest difference in parameters, as a share of multi-head attention's. */
const mostDifference = 0.01;

/**
 * A model of some 30B parameters, as the paper's ablation has: the width, heads and layers of the 34B model, whose
 * feed-forward width is about 1.3 times this one's.
 */
export const ablation30b: LlamaConfig = {
  dim: 8192,
  layers: 48,
  heads: 64,
  kvHeads: 64,
  headDim: 128,
  hiddenDim: 16384,
  vocabSize: 32000,
  contextLength: 4096,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
};

/**
 * The three models of the ablation, from the one with multi-head attention.
 *
 * @throws {OptionError} where heads cannot be shared evenly, and where parameters are not equal to 1 %.
 */
export function attentionAblation(base: LlamaConfig, options: AblationOptions = {}): AttentionAblation {
  const { kvHeads = 8, widening = "paper", multiple = 1 } = options;
  if (kvHeads < 1 || base.heads % kvHeads !== 0) {
    const expected = `a divisor of ${base.heads}, the number of query heads`;
    throw new OptionError(`kvHeads is ${kvHeads}; it must be ${expected}.`, {
      option: "kvHeads",
      expected,
      value: kvHeads,
    });
  }
  const mha = { ...base, kvHeads: base.heads };
  const variant = (heads: number, factor: number): LlamaConfig => {
    const saved = 2 * base.dim * base.headDim * (base.heads - heads); // in wk and wv of a layer
    const width = widening === "paper" ? factor * base.hiddenDim : base.hiddenDim + saved / (3 * base.dim);
    return { ...base, kvHeads: heads, hiddenDim: multiple * Math.round(width / multiple) };
  };
  const ablation = { mha, gqa: variant(kvHeads, 1.3), mqa: variant(1, 1.33) };
  const expected = parameterCount(mha);
  for (const [name, config] of Object.entries(ablation)) {
    const difference = parameterCount(config) / expected - 1;
    if (Math.abs(difference) <= mostDifference) continue;
    const share = `${(100 * difference).toFixed(1)} %`;
    const ways = 'take widening: "equal", or a smaller multiple, or a base whose feed-forward width is twice its own';
    throw new OptionError(`${name} would have ${share} more parameters than mha; ${ways}.`, {
      option: "base",
      expected: "sizes with equal parameters",
      value: base,
    });
  }
  return ablation;
}
