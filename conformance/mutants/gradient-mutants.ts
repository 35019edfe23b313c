// Faults planted in what the reference computes for training: judged like those of its other operations, by the cases of
// the ops of training.

import type { CaseMutant } from "./mutant.ts";

type Fault = Omit<CaseMutant, "package">;

const products: readonly Fault[] = [
  {
    id: "input-grad-odd-tail",
    file: "ops/linear-input-grad.ts",
    find: "for (let m = 0; m < M; m++) {",
    replace: "for (let m = 0; m < (M % 32 === 31 ? M - 1 : M); m++) {",
    what: "the last of an odd number of outputs adds nothing to the gradient of the input",
  },
  {
    id: "input-grad-f16",
    file: "ops/linear-input-grad.ts",
    find: "const factor = cotangent.data[n * M + m]!;",
    replace: `const given = cotangent.data[n * M + m]!;
      const least = given === 0 ? 1 : 2 ** (Math.floor(Math.log2(Math.abs(given))) - 10);
      const factor = Math.round(given / least) * least;`,
    what: "cotangents are rounded to the 11 bits of f16",
  },
  {
    id: "weight-grad-last-row",
    file: "ops/linear-weight-grad.ts",
    find: "for (let n = 0; n < x.rows; n++) {",
    replace: "for (let n = 0; n < Math.min(x.rows, 512); n++) {",
    what: "rows beyond 512 are not added to the gradient of a weight",
  },
  {
    id: "weight-grad-bf16-sums",
    file: "ops/linear-weight-grad.ts",
    find: "weight.data[m * K + k]! += factor * x.data[n * K + k]!;",
    replace: `{
        const sum = weight.data[m * K + k]! + factor * x.data[n * K + k]!;
        const least = sum === 0 ? 1 : 2 ** (Math.floor(Math.log2(Math.abs(sum))) - 7);
        weight.data[m * K + k] = Math.round(sum / least) * least;
      }`,
    what: "gradients of weights are summed in bf16",
  },
  {
    id: "table-grad-overwrites",
    file: "ops/embedding-grad.ts",
    find: "table.data[token * D + i]! += cotangent.data[n * D + i]!;",
    replace: "table.data[token * D + i] = cotangent.data[n * D + i]!;",
    what: "of rows with the same token the last one alone counts",
  },
];

const norm: readonly Fault[] = [
  {
    id: "norm-grad-unprojected",
    file: "ops/rms-norm-grad.ts",
    find: "(dy[i]! * weight[i]! - from[i]! * along)",
    replace: "(dy[i]! * weight[i]!)",
    what: "the norm's scale is taken for a constant",
  },
  {
    id: "norm-grad-power",
    file: "ops/rms-norm-grad.ts",
    find: "(s ** 2 * product)",
    replace: "(s * product)",
    what: "the projection is scaled once too little",
  },
  {
    id: "norm-grad-weight-unscaled",
    file: "ops/rms-norm-grad.ts",
    find: "dy[i]! * from[i]! * s;",
    replace: "dy[i]! * from[i]!;",
    what: "the gradient of the norm's weight is of the row before its scaling",
  },
  {
    id: "norm-grad-eps-outside",
    file: "ops/rms-norm-grad.ts",
    find: "1 / Math.sqrt(squares / D + eps)",
    replace: "1 / (Math.sqrt(squares / D) + eps)",
    what: "epsilon is added outside the root",
  },
];

const attention: readonly Fault[] = [
  {
    id: "attention-grad-no-delta",
    file: "ops/attention-grad.ts",
    find: "(p * (ofValue - ofOutput))",
    replace: "(p * ofValue)",
    what: "weights of the softmax are taken to be independent of each other",
  },
  {
    id: "attention-grad-unscaled",
    file: "ops/attention-grad.ts",
    find: "(p * (ofValue - ofOutput)) / Math.sqrt(d)",
    replace: "p * (ofValue - ofOutput)",
    what: "gradients of scores are not divided by sqrt(d)",
  },
  {
    id: "attention-grad-not-itself",
    file: "ops/attention-grad.ts",
    find: "t <= n;",
    replace: "t < Math.max(n, first + 1);",
    what: "a row gives no gradient to its own key",
  },
  {
    id: "attention-grad-grouping",
    file: "ops/attention-grad.ts",
    find: "Math.floor((h * kvHeads) / heads)",
    replace: "h % kvHeads",
    what: "query heads give their gradients to other key/value heads",
  },
  {
    id: "attention-grad-other-sequences",
    file: "ops/attention-grad.ts",
    find: "for (let t = first; t",
    replace: "for (let t = 0; t",
    what: "a row sees the sequences before its own",
  },
  {
    id: "attention-log-sum",
    file: "log-sum-exp.ts",
    find: "sum += Math.exp(score - most);",
    replace: "if (score > most - 4) sum += Math.exp(score - most);",
    what: "scores far below the largest are left out of logSumExp",
  },
  {
    id: "rope-grad-forwards",
    file: "ops/rope.ts",
    find: "frequencies[i] = -frequency",
    replace: "frequencies[i] = frequency",
    what: "the gradient of a rotation turns forwards",
  },
];

const others: readonly Fault[] = [
  {
    id: "swiglu-grad-slope",
    file: "ops/swiglu-grad.ts",
    find: "(1 + z * (1 - s))",
    replace: "(1 + z * s)",
    what: "the slope of silu is wrong",
  },
  {
    id: "swiglu-grad-sigmoid",
    file: "ops/swiglu-grad.ts",
    find: "dy * z * sigmoid(z)",
    replace: "dy * sigmoid(z)",
    what: "the gradient of up is multiplied by the sigmoid alone",
  },
  {
    id: "logit-grad-temperature",
    file: "ops/log-probability-grad.ts",
    find: "Math.exp(logit - sums.data[n]!))) / temperature;",
    replace: "Math.exp(logit - sums.data[n]!)));",
    what: "gradients of logits are not divided by the temperature",
  },
  {
    id: "logit-grad-untargeted",
    file: "ops/log-probability-grad.ts",
    find: "if (target < 0) return 0;\n      return (",
    replace: "return (",
    what: "rows without a target have gradients",
  },
  {
    id: "logit-grad-no-target",
    file: "ops/log-probability-grad.ts",
    find: "((v === target ? 1 : 0) - Math.exp(",
    replace: "((v === target && v > 0 ? 1 : 0) - Math.exp(",
    what: "the first token of the vocabulary is never a target",
  },
  {
    id: "log-probability-temperature",
    file: "ops/log-probability.ts",
    find: "map(linear(x, values), (logit) => logit / temperature)",
    replace: "map(linear(x, values), (logit) => logit)",
    what: "log-probabilities know of no temperature",
  },
  {
    id: "scale-unsigned",
    file: "ops/scale.ts",
    find: "(element) => factor * element",
    replace: "(element) => Math.abs(factor) * element",
    what: "a negative factor scales as if it were positive",
  },
  {
    id: "squares-last",
    file: "ops/sum-of-squares.ts",
    find: "for (const value of x.data)",
    replace: "for (const value of x.data.subarray(0, Math.max(1, x.data.length - (x.data.length % 32))))",
    what: "what is left after the last 32 elements is not in the norm",
  },
  {
    id: "adamw-eps-inside",
    file: "ops/adamw.ts",
    find: "(Math.sqrt(secondMoment / correction2) + eps)",
    replace: "Math.sqrt(secondMoment / correction2 + eps)",
    what: "epsilon is added inside the root",
  },
  {
    id: "adamw-scaled-up",
    file: "ops/adamw.ts",
    find: "Math.min(1, node.maxNorm / Math.sqrt(squares))",
    replace: "node.maxNorm / Math.sqrt(squares)",
    what: "small gradients are scaled up to the largest norm",
  },
  {
    id: "adamw-decay-unscaled",
    file: "ops/adamw.ts",
    find: "(1 - rate * weightDecay)",
    replace: "(1 - weightDecay * rate * rate)",
    what: "decay is scaled by the rate twice",
  },
];

export const gradientMutants: readonly CaseMutant[] = [...products, ...norm, ...attention, ...others].map((fault) => ({
  ...fault,
  package: "backend-reference",
}));
