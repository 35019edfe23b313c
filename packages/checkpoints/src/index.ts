// @polyllama/checkpoints: every file that a Llama comes in, read without conversion, as weights under one set of names.

// Opening
export type { Checkpoint, CheckpointKind, StoredTensor } from "./checkpoint.ts";
export { checkpointLocation, type OpenFile } from "./location.ts";
export { type OpenOptions, openCheckpoint, openOptionTypes } from "./open.ts";
export { removeKept } from "./read/sources/kept.ts";
export type { TokenizerLocation, WebLocation } from "./read/open/web.ts";
export { openSynthetic, type SyntheticFormat } from "./read/synthetic.ts";
// The hub
export type { HubCheckpoint } from "./hub/choose.ts";
export { type HubListing, type HubOptions, listHub, type Pulled, type PullOptions, pull } from "./hub/pull.ts";
// Writing
export { type CompareOptions, type Comparison, compareCheckpoints, type TensorComparison } from "./compare.ts";
export type { TextDifference } from "./compare-text.ts";
export { writeGguf } from "./write/gguf.ts";
export type { FormatOptions, PlannedTensor, RecipeName, TargetFormat, TensorRule } from "./write/formats.ts";
export { targetFormats } from "./write/formats.ts";
export { type WriteContent, type WriteOptions, type Written, writeSafetensors } from "./write/safetensors.ts";
// Extending the vocabulary
export { type ExtendOptions, extendVocabulary } from "./extend.ts";
// Quantizing
export { createQuantizerPool, type QuantizerPool, type QuantizerPoolOptions } from "./quantize/pool.ts";
export { quantized } from "./quantize/quantized.ts";
// The parsers, over any source of bytes
export { type ByteSource, memorySource } from "./read/sources/byte-source.ts";
export { type GgufHeader, type GgufTensor, readGgufHeader } from "./read/gguf-header.ts";
export { openGguf } from "./read/gguf.ts";
export { type Llama2cHeader, openLlama2c, readLlama2cHeader } from "./read/llama2c.ts";
export { openPytorch } from "./read/hugging-face.ts";
export { type MetaParts, openMeta } from "./read/meta.ts";
export { openFile } from "./read/sources/disk.ts";
export { readTokenizer } from "./read/tokenizer-files.ts";
export { readSafetensorsHeader, type SafetensorsHeader, type SafetensorsTensor } from "./read/safetensors.ts";
export type { FoundTokenizer } from "./read/text-files.ts";
export { type HuggingFaceParts, openSafetensors } from "./read/hugging-face.ts";
