// polyllama: run Llama 2 models from TypeScript. Choose a backend by importing it, and load a checkpoint as it is.

import "./node-version.ts";

export * from "./browser.ts";

// Checkpoints
export type {
  Comparison,
  ExtendOptions,
  HubOptions,
  PullOptions,
  TargetFormat,
  TensorRule,
  WriteAdapterOptions,
  WriteOptions,
  Written,
} from "@polyllama/checkpoints";
export {
  extendVocabulary,
  listHub,
  pull,
  readTokenizer,
  targetFormats,
  writeAdapter,
  writeGguf,
  writeSafetensors,
} from "@polyllama/checkpoints";
export { compareCheckpoints } from "./compare.ts";

// Vocabularies of one's own
export type { MergedVocabulary, TrainedVocabulary, TrainVocabularyOptions } from "@polyllama/vocabulary";
export { mergeVocabularies, trainVocabulary } from "@polyllama/vocabulary";
