// polyllama in a browser: everything of index.ts that needs no file system and no hub. Bundlers choose it by the export condition
// "browser". `polyllama/worker` runs the same in a worker.

// Checkpoints
export type { Checkpoint, QuantizedFormat, TokenizerLocation, WebLocation } from "@polyllama/checkpoints";
export { openCheckpoint, quantizedFormats, removeKept } from "@polyllama/checkpoints";
// What they are made of
export type {
  Backend,
  ChatMessage,
  ChatTemplateName,
  FinishReason,
  LlamaConfig,
  Piece,
  Progress,
  SamplingOptions,
  Tensor,
  Tokenizer,
  TokenLogprob,
  Wanted,
} from "@polyllama/core";
export {
  CheckpointError,
  ContextOverflowError,
  chatTemplateNames,
  llamaGraph,
  PolyllamaError,
  parameterCount,
  presets,
} from "@polyllama/core";
// The model
export type { FitOptions, FittedConversation } from "./conversation.ts";
export { fitConversation } from "./conversation.ts";
export type { ChatOptions, Completion, LlamaGenerateOptions, LoadOptions } from "./llama.ts";
export { Llama } from "./llama.ts";
export type { ContinueOptions } from "./sequence.ts";
export { Sequence } from "./sequence.ts";
