// Faults in what the WebGPU backend computes for training.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "gpu-input-grad-parts",
    file: "training/emit/linear.ts",
    find: "before: first,\n      width: columns,",
    replace: "before: 0,\n      width: columns,",
    what: "the parts of a matrix beyond one binding are all multiplied with the first columns of the cotangent",
  },
  {
    id: "gpu-input-grad-adds",
    file: "training/emit/linear.ts",
    find: "const adding = adds || i > 0;",
    replace: "const adding = adds;",
    what: "of a matrix beyond one binding only the last part reaches the gradient of the input",
  },
  {
    id: "gpu-weight-grad-last-rows",
    file: "kernels/weight_grad.wgsl",
    find: "n < step.rows; n++",
    replace: "n < min(step.rows, 512u); n++",
    what: "rows beyond 512 add nothing to the gradient of a weight",
  },
  {
    id: "gpu-weight-grad-padding",
    file: "kernels/weight_grad.wgsl",
    find: "select(vec4f(0.0), total, 4u",
    replace: "select(total, total, 4u",
    what: "what pads rows of activations comes into the gradient of a weight, and its norm",
  },
  {
    id: "gpu-norm-grad-mean",
    file: "kernels/norm_grad.wgsl",
    find: "cotangent[source_dy + i] * weight[i]), vec2f(value), sums);",
    replace: "cotangent[source_dy + i]), vec2f(value), sums);",
    what: "the mean in the gradient of a norm leaves its weight out",
  },
  {
    id: "gpu-embedding-grad-twice",
    file: "kernels/token_links.wgsl",
    find: "var next = n + 1u;",
    replace: "var next = n + 2u;",
    what: "of the same token twice in a row the second one is not seen",
  },
  {
    id: "gpu-attention-grad-group",
    file: "kernels/attention_grad_kv.wgsl",
    find: "head < (kv + 1u) * P.group; head++",
    replace: "head < kv * P.group + 1u; head++",
    what: "keys and values have the gradient of the first query head of their group alone",
  },
  {
    id: "gpu-attention-grad-across",
    file: "kernels/attention_grad_q.wgsl",
    find: "let first = bounds[n].x;",
    replace: "let first = 0u;",
    what: "the gradient of queries sees the keys of sequences before",
  },
  {
    id: "gpu-log-sum-exp-rescale",
    file: "kernels/log_sum_exp.wgsl",
    find: "sum = fma(state.y, exp_negative(state.x - most), partial[0]);",
    replace: "sum = state.y + partial[0];",
    what: "sums over pieces of the vocabulary are added as if their largest scores were equal",
  },
  {
    id: "gpu-softmax-grad-piece",
    file: "kernels/softmax_grad.wgsl",
    find: "u32(wanted) == P.first + i",
    replace: "u32(wanted) == i",
    what: "targets are looked for in the first piece of the vocabulary alone",
  },
  {
    id: "gpu-adamw-clip",
    file: "kernels/adamw.wgsl",
    find: "P.max_norm * inverseSqrt(squares[0])",
    replace: "P.max_norm / squares[0]",
    what: "gradients are clipped by the square of their norm",
  },
  {
    id: "gpu-finite-infinity",
    file: "kernels/finite.wgsl",
    find: "(x[i] & 0x7f800000u) == 0x7f800000u",
    replace: "(x[i] & 0x7fffffffu) == 0x7f800000u",
    what: "infinity is found in gradients and settings, NaN is not",
  },
  {
    id: "gpu-update-anyway",
    file: "training/run.ts",
    find: "notFinite: found[0] !== 0,",
    replace: "notFinite: false,",
    what: "weights are updated by gradients that are not finite",
  },
];

export const webgpuTrainingMutants: readonly Mutant[] = faults.map((fault) => ({
  ...fault,
  package: "backend-webgpu",
}));
