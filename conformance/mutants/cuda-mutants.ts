// Faults in what a real run of the CUDA backend uses: batches, chunks, forks, long caches, device sampling.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "cuda-batch-of-eight",
    file: "kernels/gemv.ts",
    find: "grid: [Math.ceil(y.width / outputs), Math.ceil(rows / n), 1],",
    replace: "grid: [Math.ceil(y.width / outputs), 1, 1],",
    what: "row 9 and up of a decoding batch are not computed",
  },
  {
    id: "cuda-fork-of-1024",
    file: "kv-cache.ts",
    find: "blocksFor(this.length) * this.blocks.blockBytes",
    replace: "blocksFor(Math.min(this.length, 1024)) * this.blocks.blockBytes",
    what: "a fork copies at most 1,024 positions",
  },
  {
    id: "cuda-last-of-mixed-step",
    file: "program.ts",
    find: "output.place.storage.selected ? selected : n",
    replace: "output.place.storage.selected ? row.sequence : n",
    what: "the last row of a prompt that shares a step with a decoding sequence is another row",
  },
  {
    id: "cuda-second-sequence-input",
    file: "program.ts",
    find: "token: tokens?.[sequence.first + i] ?? 0,",
    replace: "token: tokens?.[i] ?? 0,",
    what: "every sequence of a step reads the first one's tokens",
  },
  {
    id: "cuda-position-without-cache",
    file: "program.ts",
    find: "angle: sequence.start + i,",
    replace: "angle: start + i,",
    what: "rows without a cache are rotated from position 0 on, wherever they start",
  },
  {
    id: "cuda-parts-rounded",
    file: "program.ts",
    find: "Math.ceil(capacity / partKeys)",
    replace: "Math.max(1, Math.floor(capacity / partKeys))",
    what: "the last part of a long cache is not seen in decoding",
  },
  {
    id: "cuda-sample-position",
    file: "program.ts",
    find: "position: position + 1, take",
    replace: "position, take",
    what: "tokens are drawn on the card with the number of the position before",
  },
  {
    id: "cuda-seed-high-word",
    file: "kernels/sample.ts",
    find: "seed_high: Math.floor(draw.seed / 2 ** 32),",
    replace: "seed_high: 0,",
    what: "seeds above 2^32 draw as their lower half",
  },
  {
    id: "cuda-min-p",
    file: "kernels/sample.ts",
    find: "Math.ceil(draw.minP * 2 ** 30)",
    replace: "Math.ceil(draw.minP * 2 ** 29)",
    what: "on the card min-p keeps tokens of half its probability",
  },
  {
    id: "cuda-top-k-ties",
    file: "kernels/sample.cu",
    find: "(((1u << id_bits) - 1) - id)",
    replace: "id",
    what: "on the card equal logits rank by the higher id",
  },
  {
    id: "cuda-sampled-cache-length",
    file: "program.ts",
    find: "own!.releaseAt(taken === 0 ? start : start + tokens.length + taken - 1);",
    replace: "own!.releaseAt(taken === 0 ? start : start + tokens.length + taken);",
    what: "after sampling on the card the cache counts one position too many",
  },
];

export const cudaMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "backend-cuda" }));
