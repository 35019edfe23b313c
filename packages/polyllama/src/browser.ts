// polyllama in a browser: everything that needs no file system and no hub; index.ts has the same and what only Node
// has. Bundlers choose it by the export condition "browser". `polyllama/worker` runs the same in a worker.

// Checkpoints
export type { Adapter, Checkpoint, TokenizerLocation, WebLocation } from "@polyllama/checkpoints";
export { mergeAdapter, openAdapter, openCheckpoint, removeKept } from "@polyllama/checkpoints";
// What they are made of
export type {
  LlamaConfig,
  Progress,
  SamplingOptions,
  Tensor,
  Tokenizer,
  TokenLogprob,
} from "@polyllama/core";
export {
  CheckpointError,
  ContextOverflowError,
  llamaGraph,
  MemoryError,
  OptionError,
  PolyllamaError,
  parameterCount,
  presets,
} from "@polyllama/core";
export type { Device, Wanted } from "@polyllama/core/device";
export type { QuantizedFormat } from "@polyllama/formats";
export { quantizedFormats } from "@polyllama/formats";
// The model
export { ChatTemplateError } from "./chat/error.ts";
export { type ChatFormat, chatFormatOf } from "./chat/format.ts";
export { type ChatTemplate, type ChatTemplateName, chatTemplateNames } from "./chat/named.ts";
export type { ChatMessage, ChatPrompt, RenderChatOptions } from "./chat/prompt.ts";
export { AbortError, type Completion } from "./completion.ts";
export type { ContinueOptions } from "./continue-options.ts";
export type { FitOptions, FittedConversation } from "./conversation.ts";
export { fitConversation } from "./conversation.ts";
export type { ChooseOptions, FinishReason, GenerateOptions, Piece, TokenSource } from "./generation/generate.ts";
export { checkGenerateOptions } from "./generation/generate.ts";
export { Llama } from "./llama.ts";
export type { LoadSource } from "./load.ts";
export type { ChatOptions, LlamaGenerateOptions, LoadOptions, ValuesOptions } from "./options.ts";
export type { SchedulerMetrics } from "./scheduler/metrics.ts";
export type { RequestOptions, ScheduledOptions, SchedulerOptions } from "./scheduler/options.ts";
export { Scheduler } from "./scheduler/scheduler.ts";
export { Sequence } from "./sequence.ts";
