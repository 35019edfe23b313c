// Faults in what core does around a model: sampling, log probabilities, RoPE scaling, chat, decoding, caches.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "device-ignores-penalties",
    file: "sampling/sample.ts",
    find: "draw: penalized ? undefined : {",
    replace: "draw: {",
    what: "penalties and logit bias are ignored where the device samples",
  },
  {
    id: "logprob-of-best",
    file: "sampling/logprobs.ts",
    find: "return { logprob: logits[id]! - normalizer",
    replace: "return { logprob: most - normalizer",
    what: "the log probability is that of the best token instead of the drawn one",
  },
  {
    id: "llama3-original-length",
    file: "rope-scaling.ts",
    find: "originalContextLength: original(),\n        lowFrequencyFactor",
    replace: "originalContextLength: contextLength,\n        lowFrequencyFactor",
    what: "Llama 3 scaling starts from the whole context instead of the original one",
  },
  {
    id: "top-k-ties",
    file: "sampling/sample.ts",
    find: "if (logits[i] === least && room > 0) room--;",
    replace: "if (logits[i] === least && room >= 0) room--;",
    what: "top-k keeps one more of equal logits",
  },
  {
    id: "top-p-exact",
    file: "sampling/sample.ts",
    find: "if (sum >= enough) break;",
    replace: "if (sum > enough) break;",
    what: "a nucleus that reaches its share exactly takes one token more",
  },
  {
    id: "min-p-exact",
    file: "sampling/sample.ts",
    find: "if (weights[i]! < least) weights[i] = 0;",
    replace: "if (weights[i]! <= least) weights[i] = 0;",
    what: "a token exactly as probable as min-p asks is left out",
  },
  {
    id: "draw-position",
    file: "sampling/sample.ts",
    find: "return draw(weights, seed, position);",
    replace: "return draw(weights, seed, position - promptLength);",
    what: "the random number belongs to the number of generated tokens, not to the position",
  },
  {
    id: "penalty-counts-prompt",
    file: "sampling/sample.ts",
    find: "for (const id of tokens.slice(promptLength)) counts",
    replace: "for (const id of tokens) counts",
    what: "presence and frequency penalties count the prompt",
  },
  {
    id: "repetition-of-negative",
    file: "sampling/sample.ts",
    find: "logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty",
    replace: "logit / repetitionPenalty",
    what: "the repetition penalty raises negative logits",
  },
  {
    id: "top-logprobs-ties",
    file: "sampling/logprobs.ts",
    find: "|| a.id - b.id",
    replace: "|| b.id - a.id",
    what: "of equally probable alternatives the higher id comes first",
  },
  {
    id: "strip-separators",
    file: "chat.ts",
    find: " || (code >= 0x1c && code <= 0x1f)",
    replace: "",
    what: "chat does not strip the separators that Python takes for white space",
  },
  {
    id: "yarn-magnitude",
    file: "rope-scaling.ts",
    find: "0.1 * multiplier * Math.log(factor) + 1",
    replace: "0.1 * multiplier * Math.log2(factor) + 1",
    what: "YaRN's magnitude takes the logarithm to base 2",
  },
  {
    id: "gguf-yarn-factor",
    file: "rope-scaling.ts",
    find: "magnitude: logarithmic(factor(), 1) * read.real(",
    replace: "magnitude: read.real(",
    what: "GGUF's attn_factor replaces YaRN's magnitude instead of multiplying it",
  },
  {
    id: "longest-context",
    file: "rope-scaling.ts",
    find: "Math.floor(original * scaling.factor)",
    replace: "Math.floor(contextLength * scaling.factor)",
    what: "scaling is said to reach its factor times the declared context",
  },
  {
    id: "overlong-bytes",
    file: "tokenizer/decoder.ts",
    find: "if (length === 0 || !isLegal(point, length)) return",
    replace: "if (length === 0) return",
    what: "byte tokens that spell an overlong character are shown as that character",
  },
  {
    id: "failed-step-advances",
    file: "sequence-cache.ts",
    find: "releaseAt(advanced ? start + rows : start)",
    replace: "releaseAt(start + rows)",
    what: "a cache advances although its step failed",
  },
];

export const coreMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "core" }));
