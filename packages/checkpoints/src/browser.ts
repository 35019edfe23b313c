// @polyllama/checkpoints in a browser: everything that needs no file system and no hub. Bundlers choose it by the
// export condition "browser"; index.ts has the same and what only Node has.

// Opening
export type { Checkpoint, CheckpointKind, StoredTensor } from "./checkpoint.ts";
export { checkpointLocation, type OpenFile, type TokenizerLocation, type WebLocation } from "./location.ts";
export { mergeAdapter } from "./merge-adapter.ts";
export { openCheckpoint } from "./open.ts";
export { type OpenOptions, openOptionTypes } from "./open-options.ts";
// Quantizing
export { quantized } from "./quantize/quantized.ts";
// Adapters
export { type Adapter, type OpenAdapterOptions, openAdapter } from "./read/adapter.ts";
// The parsers, over any source of bytes
export { openGguf } from "./read/gguf.ts";
export { type GgufHeader, type GgufTensor, readGgufHeader } from "./read/gguf-header.ts";
export { type HuggingFaceParts, openPytorch, openSafetensors } from "./read/hugging-face.ts";
export { type Llama2cHeader, openLlama2c, readLlama2cHeader } from "./read/llama2c.ts";
export { type MetaParts, openMeta } from "./read/meta.ts";
export { readSafetensorsHeader, type SafetensorsHeader, type SafetensorsTensor } from "./read/safetensors.ts";
export { type ByteSource, memorySource } from "./read/sources/byte-source.ts";
export { removeKept } from "./read/sources/kept.ts";
export { openSynthetic, type SyntheticFormat } from "./read/synthetic.ts";
export type { FoundTokenizer } from "./read/text-files.ts";
export { readTokenizer } from "./read/tokenizer-files.ts";
