// Every number that decides a comparison and does not follow from a backend's roundings. Of single operations there is
// none: their bounds are derived (docs/tolerances.md). These belong to the estimate of how far whole models may be off.

/**
 * Perturbed runs of the reference that a tolerance is estimated from. The largest of 16 normal deviations is 1.8
 * standard deviations on average.
 */
export const perturbedRuns = 16;

/**
 * Perturbed runs of long texts and fused layers. A row's tolerance is the largest deviation among all of its columns,
 * so that a few runs make many samples; fewer runs than elsewhere allow less, never more.
 */
export const fewPerturbedRuns = 4;

/**
 * What is allowed, as a multiple of the largest deviation that the perturbed runs show: with 16 of them 4 times 1.8, or
 * 7 standard deviations.
 */
export const allowance = 4;

/**
 * How many tolerances the two largest logits must be apart for the choice between them to be certain: each of them may
 * be off by one, towards the other.
 */
export const margin = 2;

/**
 * Share of rows that must be decided, their choice being certain, on a model whose linears take inputs in f32. With
 * fewer the comparison of tokens says too little. It can only make a comparison fail, never pass.
 */
export const leastDecided = 0.95;

/**
 * Columns of a large linear that are computed exactly, the others being checked to be written. A fault in one column of
 * a hundred is seen with a probability of 1 - 0.99^256 = 92 %, one at an edge of a tile always, since edges are among
 * them.
 */
export const sampledColumns = 256;

/**
 * Largest difference of a gradient in float64 from central differences, as a share of the differences' norm. What the
 * differences lose themselves is a thousandth of it (docs/tolerances.md).
 */
export const differenceTolerance = 1e-7;

/**
 * How far the losses of ten steps of AdamW on a trained model may be from PyTorch's in float64, in nats a token, and the
 * norms of their gradients relatively: what is promised of every backend that trains in f32. It is chosen, not derived.
 */
export const goldenLossTolerance = 1e-4;
