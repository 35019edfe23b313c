// polyllama: run Llama 2 models from TypeScript. Choose a backend by importing it, and load a checkpoint as it is.

// The model
export type { ChatOptions, Completion, LlamaGenerateOptions, LoadOptions } from "./llama.ts";
export { Llama } from "./llama.ts";
export type { ContinueOptions } from "./sequence.ts";
export { Sequence } from "./sequence.ts";

// Checkpoints
export type { Checkpoint, HubOptions, PullOptions, QuantizedFormat } from "@polyllama/checkpoints";
export { listHub, openCheckpoint, pull, quantizedFormats, writeGguf } from "@polyllama/checkpoints";

// What they are made of
export type {
  Backend,
  ChatMessage,
  FinishReason,
  LlamaConfig,
  Piece,
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
  parameterCount,
  PolyllamaError,
  presets,
} from "@polyllama/core";
