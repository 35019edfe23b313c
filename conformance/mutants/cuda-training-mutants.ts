// Faults in what the CUDA backend computes for training.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "cuda-input-grad-second-piece",
    file: "training/emit/log-probability.ts",
    find: 'i > 0 ? byInput : added("x")',
    replace: 'added("x")',
    what: "of the vocabulary only the last piece reaches the gradient of the output projection's input",
  },
  {
    id: "cuda-weight-grad-last-row",
    file: "kernels/weight_grad.cu",
    find: "n0 < P.N; n0 += depth",
    replace: "n0 + 1 < P.N; n0 += depth",
    what: "the last of 32 n + 1 rows adds nothing to the gradient of a weight",
  },
  {
    id: "cuda-weight-grad-residual",
    file: "training/emit/log-probability.ts",
    find: "before && before.address + start",
    replace: "before?.address",
    what: "all pieces of the vocabulary add the gradients of its first rows of micro-batches before",
  },
  {
    id: "cuda-norm-grad-mean",
    file: "kernels/norm_grad.cu",
    find: "product = fmaf(dy[k] * P.g[k], x[k], product);",
    replace: "product = fmaf(dy[k], x[k], product);",
    what: "the mean in the gradient of a norm leaves its weight out",
  },
  {
    id: "cuda-embedding-grad-twice",
    file: "kernels/embedding_grad.cu",
    find: "next = n + 1;",
    replace: "next = n + 2;",
    what: "of the same token twice in a row the second one is not seen",
  },
  {
    id: "cuda-attention-grad-group",
    file: "kernels/attention_grad.cu",
    find: "head < (kv + 1) * P.group; head++",
    replace: "head < kv * P.group + 1; head++",
    what: "keys and values have the gradient of the first query head of their group alone",
  },
  {
    id: "cuda-attention-grad-across",
    file: "kernels/attention_grad.cu",
    find: "const float p = t >= first && t <= n ?",
    replace: "const float p = t <= n ?",
    what: "the gradient of queries sees the keys of sequences before",
  },
  {
    id: "cuda-attention-grad-later",
    file: "kernels/attention_grad.cu",
    find: "block_end = P.bounds[last].y;",
    replace: "block_end = P.bounds[begin].y;",
    what: "of several sequences in a block keys of the first alone have a whole gradient",
  },
  {
    id: "cuda-log-sum-exp-rescale",
    file: "kernels/log_probability.cu",
    find: "sum = fmaf(state.y, expf(state.x - most), sum);",
    replace: "sum = state.y + sum;",
    what: "sums over pieces of the vocabulary are added as if their largest scores were equal",
  },
  {
    id: "cuda-softmax-grad-piece",
    file: "kernels/log_probability.cu",
    find: "uint32_t(wanted) == P.first + k",
    replace: "uint32_t(wanted) == k",
    what: "targets are looked for in the first piece of the vocabulary alone",
  },
  {
    id: "cuda-rope-forwards",
    file: "training/run.ts",
    find: "node.backwards === true ? told.backwards : told.rotations",
    replace: "told.rotations",
    what: "gradients of rotations turn forwards",
  },
  {
    id: "cuda-adamw-clip",
    file: "kernels/adamw.cu",
    find: "P.max_norm / sqrtf(squares)",
    replace: "P.max_norm / squares",
    what: "gradients are clipped by the square of their norm",
  },
  {
    id: "cuda-finite-infinity",
    file: "kernels/adamw.cu",
    find: "& 0x7f800000u) == 0x7f800000u",
    replace: "& 0x7fffffffu) == 0x7f800000u",
    what: "infinity is found in gradients and settings, NaN is not",
  },
  {
    id: "cuda-update-anyway",
    file: "training/run.ts",
    find: "notFinite: found[0] !== 0,",
    replace: "notFinite: false,",
    what: "weights are updated by gradients that are not finite",
  },
  {
    id: "cuda-scratch-uncounted",
    file: "training/run.ts",
    find: "scratch.words = most;",
    replace: "scratch.words = 0;",
    what: "memory that ops take beside values is not allocated",
  },
];

export const cudaTrainingMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "backend-cuda" }));
