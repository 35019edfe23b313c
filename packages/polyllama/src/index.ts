// polyllama: run Llama 2 models from TypeScript. Choose a backend by importing it, and load a checkpoint as it is.

import "./node-version.ts";

// The model
export { ChatTemplateError } from "./chat/error.ts";
export { type ChatFormat, chatFormatOf } from "./chat/format.ts";
export { type ChatTemplate, type ChatTemplateName, chatTemplateNames } from "./chat/named.ts";
export type { ChatMessage, ChatPrompt, RenderChatOptions } from "./chat/prompt.ts";
export { AbortError, type Completion } from "./completion.ts";
export type { FitOptions, FittedConversation } from "./conversation.ts";
export { fitConversation } from "./conversation.ts";
export type { ChooseOptions, FinishReason, GenerateOptions, Piece, TokenSource } from "./generation/generate.ts";
export { checkGenerateOptions } from "./generation/generate.ts";
export { Llama } from "./llama.ts";
export type { LoadSource } from "./load.ts";
export type { ContinueOptions } from "./continue-options.ts";
export type { ChatOptions, DeviceOption, LlamaGenerateOptions, LoadOptions, ValuesOptions } from "./options.ts";
export { Sequence } from "./sequence.ts";

// Checkpoints
export type {
  Checkpoint,
  Comparison,
  ExtendOptions,
  HubOptions,
  PullOptions,
  TargetFormat,
  TensorRule,
  TokenizerLocation,
  WebLocation,
  WriteOptions,
  Written,
} from "@polyllama/checkpoints";
export {
  extendVocabulary,
  listHub,
  openCheckpoint,
  pull,
  readTokenizer,
  removeKept,
  targetFormats,
  writeGguf,
  writeSafetensors,
} from "@polyllama/checkpoints";
export type { QuantizedFormat } from "@polyllama/formats";
export { quantizedFormats } from "@polyllama/formats";

export { compareCheckpoints } from "./compare.ts";

// What they are made of
export type {
  LlamaConfig,
  Progress,
  SamplingOptions,
  Tensor,
  TokenLogprob,
  Tokenizer,
  Wanted,
} from "@polyllama/core";
export {
  CheckpointError,
  ContextOverflowError,
  llamaGraph,
  MemoryError,
  OptionError,
  parameterCount,
  PolyllamaError,
  presets,
} from "@polyllama/core";

// Vocabularies of one's own
export type { MergedVocabulary, TrainedVocabulary, TrainVocabularyOptions } from "@polyllama/vocabulary";
export { mergeVocabularies, trainVocabulary } from "@polyllama/vocabulary";
