// Log probabilities as the model gives them: of the unmodified logits, at temperature 1, in float64.

/** A token and how probable it was. */
export interface TokenLogprob {
  readonly id: number;
  /** Natural logarithm of the token's probability. */
  readonly logprob: number;
}

/** The log probabilities of one token and of the `count` most probable ones. logits [V]. */
export function logprobs(
  logits: Float32Array | Float64Array,
  id: number,
  count: number,
): { readonly logprob: number; readonly top: readonly TokenLogprob[] } {
  let most = -Infinity;
  for (const logit of logits) most = Math.max(most, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  const normalizer = most + Math.log(sum);
  const least = count > 0 ? logits.slice().sort()[Math.max(0, logits.length - count)]! : Infinity;
  const top: TokenLogprob[] = [];
  logits.forEach((logit, index) => {
    if (logit >= least) top.push({ id: index, logprob: logit - normalizer });
  });
  top.sort((a, b) => b.logprob - a.logprob || a.id - b.id);
  return { logprob: logits[id]! - normalizer, top: top.slice(0, count) };
}
