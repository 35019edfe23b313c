// Faults in what a real run of the WebGPU backend uses: mixed steps, split caches and tables, batches, forks, device sampling.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "last-of-mixed-step",
    file: "chunk.ts",
    find: 'row(set === "selected" ? ended++ : first + rows - 1, sequence)',
    replace: 'row(set === "selected" ? (ended++, sequence) : first + rows - 1, sequence)',
    what: "the last row of a prompt that shares a step with a decoding sequence is another row",
  },
  {
    id: "split-cache-queries",
    file: "emit/attention.ts",
    find: "const firstQuery = heads.first * group * d;",
    replace: "const firstQuery = heads.first * d;",
    what: "a cache split over buffers by heads: wrong queries of a group",
  },
  {
    id: "wide-rows-repeat",
    file: "kernels/linear_wide.wgsl",
    find: "min(token + @Tu, count - 1u)",
    replace: "min((token + @Tu) % 4u, count - 1u)",
    what: "row 5 and up of a decoding batch repeat rows 1 to 4",
  },
  {
    id: "fork-of-1024",
    file: "kv-cache.ts",
    find: "const size = this.length * row;",
    replace: "const size = Math.min(this.length, 1024) * row;",
    what: "a fork copies at most 1,024 positions",
  },
  {
    id: "submissions-bind-first",
    file: "submit.ts",
    find: "const bound = bindings.map((binding) => binding?.pieces[at] ?? []);",
    replace:
      "const same = pieces.findIndex(({ step }) => plan.steps[step]!.kind === plan.steps[pieces[at]!.step]!.kind);\n" +
      "const bound = bindings.map((binding) => binding?.pieces[work === 0 && at > 0 ? same : at] ?? []);",
    what: "a chunk cut into several submissions binds the first layers' caches again",
  },
  {
    id: "split-table",
    file: "kernels/embedding.wgsl",
    find: "let w = fetch(token - P.before, u);",
    replace:
      "let w = fetch(select(token - P.before, token - P.before + 1u, P.before > 0u && token - P.before + 1u < P.rows), u);",
    what: "the later parts of an embedding table beyond one binding are read one row off",
  },
  {
    id: "split-residual",
    file: "kernels/linear_common.wgsl",
    find: "residual[P.residual_offset + n * P.residual_stride + column]",
    replace: "residual[P.residual_offset + n * P.residual_stride + row]",
    what: "every part of a matrix beyond one binding adds the residual of the first",
  },
  {
    id: "split-gate-up",
    file: "kernels/linear_common.wgsl",
    find: "(P.before + row) / 2u",
    replace: "row / 2u",
    what: "the parts of gate and up beyond one binding all write the first columns",
  },
  {
    id: "split-cache-values",
    file: "emit/cache.ts",
    find: "v_offset: v.offset + firstKey,",
    replace: "v_offset: v.offset,",
    what: "a cache split over buffers has the first heads' values in every part",
  },
  {
    id: "second-chunk-position",
    file: "chunk.ts",
    find: "position: start + segment.from,",
    replace: "position: start,",
    what: "the second chunk of a prompt is rotated as the first",
  },
  {
    id: "selection-of-second",
    file: "chunk.ts",
    find: "Uint32Array.from(ends, ({ first, rows }) => first + rows - 1)",
    replace: "Uint32Array.from(ends, ({ rows }) => rows - 1)",
    what: "of two prompts in a chunk the second has the last row of the first",
  },
  {
    id: "sampled-cache-length",
    file: "program.ts",
    find: "own!.releaseAt(taken === 0 ? start : start + tokens.length + taken - 1);",
    replace: "own!.releaseAt(taken === 0 ? start : start + tokens.length + taken);",
    what: "after device sampling the cache counts one position too many",
  },
  {
    id: "seed-high-word",
    file: "sampler.ts",
    find: "seed_high: Math.floor(seed / 2 ** 32),",
    replace: "seed_high: 0,",
    what: "seeds above 2^32 draw as their lower half",
  },
  {
    id: "device-min-p",
    file: "kernels/sample.wgsl",
    find: "if (weights[i] < P.least) {",
    replace: "if (weights[i] <= P.least) {",
    what: "on the device min-p leaves out a token that is exactly as probable",
  },
  {
    id: "device-position",
    file: "kernels/sample.wgsl",
    find: "philox(segment.start + segment.rows)",
    replace: "philox(segment.start + 1u)",
    what: "a prompt's first token is drawn with the number of another position",
  },
  {
    id: "combine-eight-splits",
    file: "kernels/attention_combine.wgsl",
    find: "let splits = segment.start / P.split + 1u;",
    replace: "let splits = min(segment.start / P.split + 1u, 8u);",
    what: "decoding sees 1,024 keys at most",
  },
];

export const webgpuMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "backend-webgpu" }));
