// @polyllama/checkpoints: every file that a Llama comes in, read without conversion, as weights under one set of names.

export * from "./browser.ts";
// The hub
export type { HubCheckpoint } from "./hub/choose.ts";
export type { HubOptions, PullOptions } from "./hub/options.ts";
export { type HubListing, listHub, type Pulled, pull } from "./hub/pull.ts";
// Writing
export { type CompareOptions, type Comparison, compareCheckpoints, type TensorComparison } from "./compare.ts";
export type { TextDifference } from "./compare-text.ts";
export { writeGguf } from "./write/gguf.ts";
export type { FormatOptions, PlannedTensor, RecipeName, TargetFormat, TensorRule } from "./write/formats.ts";
export { targetFormats } from "./write/formats.ts";
export { type WriteAdapterOptions, writeAdapter } from "./write/adapter.ts";
export { writeSafetensors } from "./write/safetensors.ts";
export { type TensorFileOptions, type TensorToWrite, writeTensorFile } from "./write/tensor-file.ts";
export type { WriteContent, WriteOptions, Written } from "./write/options.ts";
// Extending the vocabulary
export { type ExtendOptions, extendVocabulary } from "./extend.ts";
// Quantizing in threads
export { createQuantizerPool, type QuantizerPool, type QuantizerPoolOptions } from "./quantize/pool.ts";
// Files of a disk, as sources of bytes
export { openFile } from "./read/sources/disk.ts";
export { openTensorFile, type TensorFile } from "./read/tensor-file.ts";
