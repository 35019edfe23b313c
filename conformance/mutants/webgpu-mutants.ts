// Faults in what a real run of the WebGPU backend uses: mixed steps, split caches and tables, batches, forks, device
// sampling.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "last-of-mixed-step",
    file: "program/outputs.ts",
    find: "if (ends) selected.set(source + rows - 1, selected.size);",
    replace: "if (ends) selected.set(source + rows - 1, source > 0 && selected.size === 0 ? 1 : selected.size);",
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
    file: "cache/pool-memory.ts",
    find: "for (const { from, to } of copies) {",
    replace: "for (const { from, to } of copies.filter((copy) => copy.from < 1024 / blockRows)) {",
    what: "a fork of more than 1,024 positions has no copy of its last block",
  },
  {
    id: "submissions-bind-first",
    file: "program/submit.ts",
    find: "done += dispatchPiece(pass, pieces[at]!, at, chunk, bound);",
    replace:
      "const kindOf = (piece: number) => plan.steps[pieces[piece]!.step]!.kind;\n" +
      "const same = pieces.findIndex((_, i) => kindOf(i) === kindOf(at));\n" +
      "done += dispatchPiece(pass, pieces[at]!, done === 0 && at > 0 ? same : at, chunk, bound);",
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
    file: "program/chunk.ts",
    find: "position: start + segment.from,",
    replace: "position: start,",
    what: "the second chunk of a prompt is rotated as the first",
  },
  {
    id: "selection-of-second",
    file: "program/write-chunk.ts",
    find: "Uint32Array.from(ends, ({ first, rows }) => first + rows - 1),",
    replace: "Uint32Array.from(ends, ({ rows }) => rows - 1),",
    what: "of two prompts in a chunk the second has the last row of the first",
  },
  {
    id: "seed-high-word",
    file: "program/sampler.ts",
    find: "seed_high: Math.floor(seed / 2 ** 32),",
    replace: "seed_high: 0,",
    what: "seeds above 2^32 draw as their lower half",
  },
  {
    id: "device-min-p",
    file: "kernels/sample.wgsl",
    find: "if (weights[base + i] < draw.least) {",
    replace: "if (weights[base + i] <= draw.least) {",
    what: "on the device min-p leaves out a token that is exactly as probable",
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
