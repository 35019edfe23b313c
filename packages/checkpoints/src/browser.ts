// @polyllama/checkpoints in a browser: everything of index.ts that needs no file system and no hub. Bundlers choose it by the
// export condition "browser".

// The parsers, over any source of bytes
export { type ByteSource, memorySource } from "./byte-source.ts";
// Opening
export type { Checkpoint, CheckpointKind, StoredTensor } from "./checkpoint.ts";
export { type GgufHeader, type GgufTensor, readGgufHeader } from "./gguf/header.ts";
export { openGguf } from "./gguf/read.ts";
export { type Llama2cHeader, openLlama2c, readLlama2cHeader } from "./llama2c.ts";
export { checkpointLocation, type OpenFile } from "./location.ts";
// Quantizing
export { quantized } from "./quantize/quantized.ts";
export {
  type FoundTokenizer,
  type HuggingFaceParts,
  openSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsTensor,
} from "./safetensors.ts";
export { openSynthetic, type SyntheticFormat } from "./synthetic.ts";
export { removeKept } from "./web/kept.ts";
export {
  openWeb as openCheckpoint,
  type TokenizerLocation,
  type WebLocation,
  type WebOpenOptions as OpenOptions,
  webOpenOptionTypes as openOptionTypes,
} from "./web/open.ts";
