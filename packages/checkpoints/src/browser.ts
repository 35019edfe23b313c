// @polyllama/checkpoints in a browser: everything of index.ts that needs no file system and no hub. Bundlers choose it by the
// export condition "browser".

// Opening
export type { Checkpoint, CheckpointKind, StoredTensor } from "./checkpoint.ts";
export { checkpointLocation, type OpenFile } from "./location.ts";
// Quantizing
export { quantized } from "./quantize/quantized.ts";
export { openGguf } from "./read/gguf.ts";
export { type GgufHeader, type GgufTensor, readGgufHeader } from "./read/gguf-header.ts";
export { type HuggingFaceParts, openSafetensors } from "./read/hugging-face.ts";
export { type Llama2cHeader, openLlama2c, readLlama2cHeader } from "./read/llama2c.ts";
export {
  openWeb as openCheckpoint,
  type TokenizerLocation,
  type WebLocation,
  type WebOpenOptions as OpenOptions,
  webOpenOptionTypes as openOptionTypes,
} from "./read/open/web.ts";
export { readSafetensorsHeader, type SafetensorsHeader, type SafetensorsTensor } from "./read/safetensors.ts";
// The parsers, over any source of bytes
export { type ByteSource, memorySource } from "./read/sources/byte-source.ts";
export { removeKept } from "./read/sources/kept.ts";
export { openSynthetic, type SyntheticFormat } from "./read/synthetic.ts";
export type { FoundTokenizer } from "./read/text-files.ts";
