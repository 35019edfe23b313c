// Faults of the onnxruntime backend around its numbers: sessions, chunks, forks, packed weights on a disk.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "onnxruntime-variant-without-caches",
    file: "sessions.ts",
    find: "(slot.fillsCaches || !fillsCaches) && [...values]",
    replace: "[...values]",
    what: "a session made without caches serves runs with one",
  },
  {
    id: "onnxruntime-second-chunk",
    file: "executor.ts",
    find: "length: length + done }",
    replace: "length }",
    what: "the second chunk of a prompt overwrites the first",
  },
  {
    id: "onnxruntime-fork-of-1024",
    file: "kv-blocks.ts",
    find: "row < length; row += rowsAtOnce",
    replace: "row < Math.min(length, rowsAtOnce); row += rowsAtOnce",
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
    id: "onnxruntime-host-rows-of-first",
    file: "host-rows.ts",
    find: "tokens.subarray(first, first + count)",
    replace: "tokens.subarray(0, count)",
    what: "every sequence and chunk of a step reads the first one's tokens",
  },
  {
    id: "onnxruntime-written-fork",
    file: "executor.ts",
    find: "storage.copy(copy, cache!.start, signal)",
    replace: "storage.copy(copy, cache!.start - 1, signal)",
    what: "a fork that is written lacks the last position that it shared",
  },
  {
    id: "onnxruntime-history-of-first",
    file: "executor.ts",
    find: "own.start);",
    replace: "0);",
    what: "the tokens of a sequence are kept from the last step alone",
  },
];

export const onnxruntimePathMutants: readonly Mutant[] = faults.map((fault) => ({
  ...fault,
  package: "backend-onnxruntime",
}));
