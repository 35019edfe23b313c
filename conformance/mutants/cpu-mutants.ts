// Faults of the cpu backend around its kernels: what the library is told, chunks, draws, KV blocks, weights, threads.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "cpu-heads-before",
    file: "emit/emitting.ts",
    find: "plan.attentions.slice(0, index)",
    replace: "plan.attentions.slice(0, Math.max(0, index - 1))",
    what: "the second layer's keys lie where the first one's do",
  },
  {
    id: "cpu-selected-count",
    file: "emit/emitting.ts",
    find: 'return rows === "all" ? e.rows : e.selected;',
    replace: "return Math.min(e.rows, 1);",
    what: "a step computes the first row alone",
  },
  {
    id: "cpu-residual-stride",
    file: "emit/index.ts",
    find: "residualStride: residual?.buffer.stride ?? 0,",
    replace: "residualStride: y.buffer.stride * 0,",
    what: "every row gets the first row's residual",
  },
  {
    id: "cpu-linear-first-row",
    file: "emit/index.ts",
    find: "    format: formatNumbers[group.format],\n    firstRow,",
    replace: "    format: formatNumbers[group.format],\n    firstRow: 0,",
    what: "matrices that are stored together are all the first of them",
  },
  {
    id: "cpu-k-rotation",
    file: "emit/index.ts",
    find: "kRotation: kRotation?.offset ?? unrotated,",
    replace: "kRotation: unrotated,",
    what: "keys are cached as they were before rotation",
  },
  {
    id: "cpu-position-of-chunk",
    file: "program/chunk-job.ts",
    find: "position: start + from + i,",
    replace: "position: start + (from > 512 ? from - 1 : from) + i,",
    what: "the third chunk of a prompt overwrites the last position of the second",
  },
  {
    id: "cpu-angle-of-cache",
    file: "program/chunk-job.ts",
    find: "angle: place.start + from + i,",
    replace: "angle: start + from + i,",
    what: "a sequence without a cache that begins later is rotated as if it began at 0",
  },
  {
    id: "cpu-steps-of-moved-memory",
    file: "program/run-chunk.ts",
    find: "if (moves !== this.#moves) this.#steps.clear();",
    replace: "if (moves !== this.#moves) this.#steps.delete(key);",
    what: "kept steps of other sizes refer to memory that has moved",
  },
  {
    id: "cpu-selection-of-step",
    file: "program/run-chunk.ts",
    find: "return [...rows].sort((a, b) => a - b);",
    replace: "return [...rows].sort((a, b) => b - a);",
    what: "selected rows are in the wrong order",
  },
  {
    id: "cpu-draw-position",
    file: "program/draws.ts",
    find: "return place.start + row - place.first + 1;",
    replace: "return place.start + row - place.first;",
    what: "the random number of a draw is that of the position before",
  },
  {
    id: "cpu-draw-seed",
    file: "program/draws.ts",
    find: "seedHigh: Math.floor(seed / 2 ** 32),",
    replace: "seedHigh: 0,",
    what: "seeds beyond 32 bits lose their upper half",
  },
  {
    id: "cpu-copied-tokens",
    file: "cache/pool-memory.ts",
    find: "from * kvBlockRows, (from + 1) * kvBlockRows);",
    replace: "from * kvBlockRows, from * kvBlockRows + 1);",
    what: "a block that is copied has one of its tokens, for penalties",
  },
  {
    id: "cpu-import-tokens",
    file: "cache/pool-memory.ts",
    find: "this.#tokens.set(new Int32Array(own.buffer), block * kvBlockRows);",
    replace: "this.#tokens.set(new Int32Array(own.buffer), 0);",
    what: "imported tokens go into the first block",
  },
  {
    id: "cpu-uncached-tables",
    file: "program/executor.ts",
    find: "const table = Uint32Array.from({ length: counts[i]! }, () => first++);",
    replace: "const table = Uint32Array.from({ length: counts[i]! }, (_, n) => first + n);",
    what: "sequences without caches share their KV blocks",
  },
  {
    id: "cpu-weights-beyond-16",
    file: "weights/layout.ts",
    find: "const rows = Math.ceil(group.rows / groupRows) * groupRows;",
    replace: "const rows = Math.floor(group.rows / groupRows) * groupRows;",
    what: "matrices whose rows do not fill groups overlap the next one",
  },
  {
    id: "cpu-piece-first-row",
    file: "weights/load.ts",
    find: "firstRow: firstRow + first,",
    replace: "firstRow,",
    what: "all pieces of a large matrix go to its first rows",
  },
  {
    id: "cpu-quota-of-group",
    file: "native/threads.ts",
    find: "Math.min(...limits)",
    replace: "Math.max(...limits)",
    what: "of nested groups the widest quota counts",
  },
  {
    id: "cpu-kept-library",
    file: "native/library.ts",
    find: "return readFileSync(path).equals(bytes);",
    replace: "return readFileSync(path).length === bytes.length;",
    what: "a damaged copy of the library is loaded",
  },
];

export const cpuMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "backend-cpu" }));
