// Faults of the onnxruntime backend around its numbers: sessions, chunks, forks, packed weights on a disk.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "onnxruntime-variant-without-caches",
    file: "program.ts",
    find: "(slot.fillsCaches || !fillsCaches) && [...values]",
    replace: "[...values]",
    what: "a session made without caches serves runs with one",
  },
  {
    id: "onnxruntime-second-chunk",
    file: "program.ts",
    find: "length: length + done, sequence: index",
    replace: "length, sequence: index",
    what: "the second chunk of a prompt overwrites the first",
  },
  {
    id: "onnxruntime-fork-of-1024",
    file: "kv-cache.ts",
    find: "row < this.length; row += rowsAtOnce",
    replace: "row < Math.min(this.length, rowsAtOnce); row += rowsAtOnce",
    what: "a fork copies at most 1,024 positions",
  },
  {
    id: "onnxruntime-checksum-first-block",
    file: "cache/checksums.ts",
    find: "const count = Math.ceil(array.length / checksumBlock);",
    replace: "const count = Math.min(1, Math.ceil(array.length / checksumBlock));",
    what: "damage behind the first mebibyte of a packed array is not found",
  },
  {
    id: "onnxruntime-last-beside-all",
    file: "program.ts",
    find: "target.set(data.subarray(data.length - width)",
    replace: "target.set(data.subarray(0, width)",
    what: "the last row of a value that is also asked for whole is its first",
  },
  {
    id: "onnxruntime-host-rows-of-first",
    file: "program.ts",
    find: "tokens.subarray(first, first + rows)",
    replace: "tokens.subarray(0, rows)",
    what: "every sequence and chunk of a step reads the first one's tokens",
  },
];

export const onnxruntimePathMutants: readonly Mutant[] = faults.map((fault) => ({
  ...fault,
  package: "backend-onnxruntime",
}));
