// Faults in what a real run of the CUDA backend uses: batches, chunks, KV blocks, long texts, drawing tokens on the
// device.

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
    id: "cuda-batch-read-per-row",
    file: "kernels/gemv.ts",
    find: "const n = rows > 4 ? 8 : rows > 1 ? 4 : 1;",
    replace: "const n = rows > 8 ? 8 : 1;",
    what: "a batch of eight reads the weights once for each of its sequences",
  },
  {
    id: "cuda-fork-of-1024",
    file: "cache/pool-memory.ts",
    find: "of table.entries()) {\n      this.#gpu.copyToHost(",
    replace: "of table.slice(0, 32).entries()) {\n      this.#gpu.copyToHost(",
    what: "an exported sequence has at most 1,024 positions",
  },
  {
    id: "cuda-shared-block-not-copied",
    file: "program/executor.ts",
    find: "for (const copy of cache.copies) storage.copy(copy);",
    replace: "",
    what: "a fork's own block does not have what the shared one had",
  },
  {
    id: "cuda-table-of-neighbour",
    file: "program/chunk-rows.ts",
    find: "      at += BigInt(4 * (blocks[sequence]?.table.length ?? 0));\n",
    replace: "",
    what: "sequences of a step use the first one's blocks",
  },
  {
    id: "cuda-second-block-of-tile",
    file: "kernels/attention.cuh",
    find: "begin + kv_block_rows < length ? cache_line(lines, begin + kv_block_rows) : first",
    replace: "first + kv_block_rows * lines.bytes",
    what: "the second block of a tile of keys is taken to lie behind the first",
  },
  {
    id: "cuda-blocks-without-cache",
    file: "program/executor.ts",
    find: "const table = Uint32Array.from(",
    replace: "first = 0;\n        const table = Uint32Array.from(",
    what: "sequences without a cache share their blocks",
  },
  {
    id: "cuda-graph-of-moved-memory",
    file: "program/graphs.ts",
    find: "    if (moves !== this.#moves) this[Symbol.dispose]();\n",
    replace: "",
    what: "recorded launches use memory that has moved",
  },
  {
    id: "cuda-slot-in-use",
    file: "program/slots.ts",
    find: "if (this.#all.length < slotCount) {",
    replace: "if (this.#all.length > 0) return this.#all[0]!;\n    if (this.#all.length < slotCount) {",
    what: "a step is written over one that is under way",
  },
  {
    id: "cuda-drawn-token-of-first-row",
    file: "program/write-chunk.ts",
    find: "tokenOf(job, row) : row;",
    replace: "tokenOf(job, row) : 0;",
    what: "drawn tokens of a batch that become inputs are the first sequence's",
  },
  {
    id: "cuda-last-of-mixed-step",
    file: "program/chunk-job.ts",
    find: "new Map(rows.map((row, i) => [row, i]))",
    replace: "new Map(rows.map((row) => [row, Math.max(...sinks.map((sink) => sink.rows.indexOf(row)))]))",
    what: "the last row of a prompt that shares a step with a decoding sequence is another row",
  },
  {
    id: "cuda-second-sequence-input",
    file: "program/write-chunk.ts",
    find: "tokenOf(job, row) : row;",
    replace: "tokenOf(job, position - (own?.start ?? 0)) : row;",
    what: "every sequence of a step reads the first one's tokens",
  },
  {
    id: "cuda-position-without-cache",
    file: "program/chunk-rows.ts",
    find: "angle: place.start + i",
    replace: "angle: start + i",
    what: "rows without a cache are rotated from position 0 on, wherever they start",
  },
  {
    id: "cuda-parts-rounded",
    file: "program/run-chunk.ts",
    find: "Math.ceil(chunk.longest / partKeys)",
    replace: "Math.floor(chunk.longest / partKeys)",
    what: "the last part of a long text is not seen in decoding",
  },
  {
    id: "cuda-seed-high-word",
    file: "kernels/sample.ts",
    find: "seed_high: Math.floor(seed / 2 ** 32),",
    replace: "seed_high: 0,",
    what: "seeds above 2^32 draw as their lower half",
  },
  {
    id: "cuda-min-p",
    file: "kernels/sample.ts",
    find: "Math.ceil(minP * 2 ** 30)",
    replace: "Math.ceil(minP * 2 ** 29)",
    what: "on the card min-p keeps tokens of half its probability",
  },
  {
    id: "cuda-draws-of-first-row",
    file: "kernels/sample.cu",
    find: "P.draws[blockIdx.x];",
    replace: "P.draws[0];",
    what: "only the first sequence of a batch gets its token",
  },
  {
    id: "cuda-top-k-ties",
    file: "kernels/sample.cu",
    find: "(((1u << id_bits) - 1) - id)",
    replace: "id",
    what: "on the card equal logits rank by the higher id",
  },
];

export const cudaMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "backend-cuda" }));
