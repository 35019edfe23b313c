// Faults in reading, quantizing, telling apart and fetching checkpoints.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "fingerprint-first-file",
    file: "read/fingerprint.ts",
    find: "for (const { source, headerBytes } of files) {",
    replace: "for (const { source, headerBytes } of files.slice(0, 1)) {",
    what: "a checkpoint's fingerprint knows its first file alone",
  },
  {
    id: "quantize-last-piece",
    file: "quantize/quantized.ts",
    find: "written += blocks.length;",
    replace: "written = Math.min(written + blocks.length, output.length - blocks.length);",
    what: "quantizing while loading misplaces the last piece of a large read",
  },
  {
    id: "fingerprint-no-version",
    file: "read/fingerprint.ts",
    find: "[source.size, source.version ?? (await digestOfAll(source))]",
    replace: "[source.size]",
    what: "a file replaced by another of the same size and samples is not noticed",
  },
  {
    id: "quantized-fingerprint",
    file: "quantize/quantized.ts",
    find: "{format}#",
    replace: "{quantizerVersion}#",
    what: "weights quantized to two formats have one fingerprint",
  },
  {
    id: "column-slices-start",
    file: "read/slices.ts",
    find: "readCut({ rows, columns,",
    replace: "readCut({ rows: { ...rows, first: 0 }, columns,",
    what: "rows in the middle of a matrix in slices of columns are read from its beginning",
  },
  {
    id: "parts-in-any-order",
    file: "read/gguf.ts",
    find: "count === sources.length && number === part && total === tensors",
    replace: "count === sources.length && total === tensors",
    what: "parts of a split file are taken in a wrong order",
  },
  {
    id: "resume-of-whole",
    file: "hub/download.ts",
    find: "await restart(); // the whole file comes",
    replace: "void restart; // the whole file comes",
    what: "a server that sends the whole file again has it appended to what was there",
  },
  {
    id: "resume-elsewhere",
    file: "hub/download.ts",
    find: "if (Number(first) !== present) throw",
    replace: "if (first === undefined) throw",
    what: "a range that begins elsewhere than asked for is written where it was asked for",
  },
  {
    id: "padding-any",
    file: "read/fit-vocabulary.ts",
    find: "Math.min(mostPadding, tokens / 4)",
    replace: "Math.min(mostPadding, tokens)",
    what: "rows of missing tokens are taken for padding",
  },
  {
    id: "tokenizer-of-both",
    file: "read/tokenizer-files.ts",
    find: "!== vocabSize && (await sizeOf(second)) === vocabSize ? second : first",
    replace: "!== vocabSize && (await sizeOf(second)) === vocabSize ? first : second",
    what: "of two tokenizers in a folder the one that does not fit is taken",
  },
  {
    id: "adapter-as-stored",
    file: "read/adapter.ts",
    find: 'isRotated && half !== "A"',
    replace: "isRotated && half === undefined",
    what: "rows of an adapter's B are read in the order that Hugging Face rotates heads in",
  },
  {
    id: "adapter-unstabilized",
    file: "read/adapter-config.ts",
    find: "isStabilized ? Math.sqrt(own.rank) : own.rank",
    replace: "isStabilized ? own.rank : own.rank",
    what: "an adapter of rsLoRA is scaled by its rank",
  },
  {
    id: "merge-unscaled",
    file: "merge-adapter.ts",
    find: "+= scale * sums[k]!",
    replace: "+= Math.sign(scale) * sums[k]!",
    what: "an adapter is merged without its factor",
  },
];

export const checkpointsMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "checkpoints" }));
