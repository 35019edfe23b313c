// @polyllama/checkpoints: every file that a Llama comes in, read without conversion, as weights under one set of names.

// Opening
export type { Checkpoint, CheckpointKind, StoredTensor } from "./checkpoint.ts";
export { checkpointLocation, type OpenFile } from "./location.ts";
export { type OpenOptions, openCheckpoint, openOptionTypes } from "./open.ts";
export { removeKept } from "./web/kept.ts";
export type { TokenizerLocation, WebLocation } from "./web/open.ts";
export { openSynthetic, type SyntheticFormat } from "./synthetic.ts";
// The hub
export type { HubCheckpoint } from "./hub/choose.ts";
export { type HubListing, type HubOptions, listHub, type Pulled, type PullOptions, pull } from "./hub/pull.ts";
// Writing
export { type CompareOptions, type Comparison, compareCheckpoints, type TensorComparison } from "./compare.ts";
export type { TextDifference } from "./compare-text.ts";
export { writeGguf } from "./gguf/write.ts";
export type { FormatOptions, PlannedTensor, RecipeName, TargetFormat, TensorRule } from "./write/formats.ts";
export { targetFormats } from "./write/formats.ts";
export { type WriteContent, type WriteOptions, type Written, writeSafetensors } from "./write/safetensors.ts";
// Extending the vocabulary
export { type ExtendOptions, extendVocabulary } from "./extend.ts";
// Quantizing
export { createQuantizerPool, type QuantizerPool, type QuantizerPoolOptions } from "./quantize/pool.ts";
export { quantized } from "./quantize/quantized.ts";
// The parsers, over any source of bytes
export { type ByteSource, memorySource } from "./byte-source.ts";
export { type GgufHeader, type GgufTensor, readGgufHeader } from "./gguf/header.ts";
export { openGguf } from "./gguf/read.ts";
export { type Llama2cHeader, openLlama2c, readLlama2cHeader } from "./llama2c.ts";
export { openPytorch } from "./meta/hugging-face.ts";
export { type MetaParts, openMeta } from "./meta/read.ts";
export { openFile } from "./node-file.ts";
export { readTokenizer } from "./tokenizer-files.ts";
export {
  type FoundTokenizer,
  type HuggingFaceParts,
  openSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsTensor,
} from "./safetensors.ts";
