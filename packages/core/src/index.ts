// @polyllama/core: the model as data, its text and its sampling, and the contract of devices. It depends on nothing.

// The model
export type { GgufFacts, LlamaConfig, MetaFacts } from "./config.ts";
export {
  configForContext,
  configFromGguf,
  configFromHuggingFace,
  configFromMeta,
  parameterCount,
  validateConfig,
} from "./config.ts";
export type { RopeScaling } from "./rope-scaling.ts";
export { longestContext, ropeScalingToGguf, ropeScalingToHuggingFace } from "./rope-scaling.ts";
export { llamaGraph, llamaLayerGraph } from "./llama.ts";
export type { PresetName } from "./presets.ts";
export { presets, vocabularyOwners } from "./presets.ts";

// The graph and its ops
export type { Dim, TensorType } from "./type.ts";
export { isFixed, rowsIn, widthOf } from "./type.ts";
export type {
  AnyOp,
  AppliedOp,
  ByRole,
  NoAttributes,
  OpBuilder,
  OpDef,
  OpMethod,
  OpNode,
  ResultRoles,
  Roles,
  Value,
  ValueName,
  WeightName,
  WeightSpec,
} from "./op.ts";
export { resultName } from "./op.ts";
export type { Node, NodeOf, OpName, Ops, PerNode, PerOp, TrainingOp } from "./ops/index.ts";
export {
  appended,
  byOp,
  forTraining,
  isTraining,
  operands,
  opNames,
  ops,
  parameters,
  resultRoles,
  results,
  trainingOps,
} from "./ops/index.ts";
export type { Graph, GraphBuilder, GraphInput } from "./graph.ts";
export { buildGraph } from "./graph.ts";
export type { EmbeddingNode } from "./ops/embedding.ts";
export type { Epsilon } from "./ops/epsilon.ts";
export type { RmsNormNode } from "./ops/rms-norm.ts";
export type { LinearNode } from "./ops/linear.ts";
export type { RopeAttributes, RopeNode, Rotation } from "./ops/rope.ts";
export { ropeFrequencies, ropeMagnitude } from "./ops/rope.ts";
export { RotationTable } from "./ops/rotation-table.ts";
export type { Heads } from "./ops/attention-heads.ts";
export type { AttentionAttributes, AttentionNode } from "./ops/attention.ts";
export type { SwigluNode } from "./ops/swiglu.ts";
export type { AddNode } from "./ops/add.ts";

// Training: its ops, and the graph passes that make gradients and updates of them
export type { Temperature } from "./ops/temperature.ts";
export type { LogProbabilityAttributes, LogProbabilityNode } from "./ops/log-probability.ts";
export type { LogProbabilityGradNode } from "./ops/log-probability-grad.ts";
export type { EmbeddingGradNode, TableRows } from "./ops/embedding-grad.ts";
export type { RmsNormGradNode } from "./ops/rms-norm-grad.ts";
export type { LinearInputGradNode } from "./ops/linear-input-grad.ts";
export type { LinearWeightGradNode } from "./ops/linear-weight-grad.ts";
export type { AttentionGradNode } from "./ops/attention-grad.ts";
export type { SwigluGradNode } from "./ops/swiglu-grad.ts";
export type { Factor, ScaleNode } from "./ops/scale.ts";
export type { SumOfSquaresNode } from "./ops/sum-of-squares.ts";
export type { AdamW, AdamWNode } from "./ops/adamw.ts";
export type { LogProbabilityOptions } from "./passes/log-probabilities.ts";
export { withLogProbabilities } from "./passes/log-probabilities.ts";
export type { GradientGraphs, GradientOptions } from "./passes/gradient.ts";
export { gradient } from "./passes/gradient.ts";
export type { AdamWOptions, OptimizerGraph } from "./passes/adamw.ts";
export { adamWGraph, adamWSettings, momentsOf, withMoments } from "./passes/adamw.ts";
export type { LoraGraph, LoraOptions } from "./passes/lora.ts";
export { withLora, withNewAdapter } from "./passes/lora.ts";
export { adapterGates, adapterStackGraph, adapterStacks, openGate, withAdapterStacks } from "./passes/switched-lora.ts";
export type { MatrixPart, WeightPart } from "./passes/weight-parts.ts";
export { matrixParts, partOf, weightsOfParts } from "./passes/weight-parts.ts";

// Weights and the formats they are stored in
export type { AdapterSource, LowRank } from "./adapter.ts";
export { adapterOf, adapterScales } from "./adapter.ts";
export type { ColumnRange, RowRange, WeightInfo, WeightLocation, WeightRanges, WeightSource } from "./weights.ts";
export { checkWeights, columnCount, rowCount } from "./weights.ts";
export type { WeightCut } from "./weight-cut.ts";
export { cutWeight, readCut, resolveRanges } from "./weight-cut.ts";
export type { BlockSize, FormatName, OffsetFormatName } from "./formats.ts";
export { blockSizes, formatBytes } from "./formats.ts";

// What devices and those who use them share; the contract is @polyllama/core/device
export type { CacheFormat } from "./device/cache.ts";
export type { DeviceInfo, MemoryEstimate } from "./device/device.ts";
export type { ProductRounding, RoundingProfile, SumTruncation, TensorCoreRounding } from "./device/roundings.ts";
export type { Progress } from "./progress.ts";
export type { RealArray, Tensor } from "./tensor.ts";

// Text
export type { DecodeOptions, EncodeOptions, StreamDecoder, TokenKind, Tokenizer } from "./tokenizer/tokenizer.ts";
export { unusedCharacter } from "./tokenizer/literal.ts";
export { encodePrompt } from "./tokenizer/prompt.ts";
export { readSentencePiece, tokenizerFromSentencePiece } from "./tokenizer/sentencepiece.ts";
export { tokenizerFromGguf } from "./tokenizer/gguf.ts";
export { tokenizerFromJson } from "./tokenizer/tokenizer-json.ts";
export { readLlama2cVocabulary, tokenizerFromLlama2c } from "./tokenizer/llama2c.ts";
export type { Vocabulary } from "./tokenizer/vocabulary.ts";
export { tokenizerFromVocabulary } from "./tokenizer/score-bpe.ts";
export type { SurroundOptions } from "./tokenizer/surround.ts";
export { surroundVocabulary } from "./tokenizer/surround.ts";
export type { TokenizerSurroundings } from "./tokenizer/surroundings.ts";
export type { EndToken } from "./end-tokens.ts";
export type { NamedChatTemplate, OwnChatTemplate } from "./chat-templates.ts";
export type { OfferedSampling, TextSetup } from "./text-setup.ts";
export type { Notice } from "./tokenizer/assemble.ts";
export { type HuggingFaceText, textSetupFromGguf, textSetupFromHuggingFace, textSetupOf } from "./text-setup.ts";

// Parts of tokenizers, for what makes vocabularies
export { cutAtNames, nameMatcher } from "./tokenizer/match.ts";
export { textNormalizer } from "./tokenizer/normalize.ts";
export { readPieces } from "./tokenizer/sentencepiece.ts";
export { wellFormed } from "./tokenizer/utf8.ts";
export type { NormalizerSpec } from "./tokenizer/vocabulary.ts";
export { pieceKind, spaceSymbol } from "./tokenizer/vocabulary.ts";

// Conversations
export type { ChatFormatOptions, ChatMessage, ChatTemplateName, EncodedExchange } from "./chat.ts";
export { chatFormatOptionTypes, chatTemplateNames, encodeChat, encodeExchanges, renderChat } from "./chat.ts";

// Generation
export { TokenHistory } from "./sampling/history.ts";
export type { DrawOptions, Sampler, SamplingOptions } from "./sampling/sample.ts";
export { createSampler, mostProbable, samplingOptionTypes } from "./sampling/sample.ts";
export { exp2Table } from "./sampling/exp2.ts";
export type { TokenLogprob } from "./sampling/logprobs.ts";
export { logprobs } from "./sampling/logprobs.ts";

// Text and JSON of unknown origin
export { printable, quoted } from "./printable.ts";
export { duplicatedKey, parseJson } from "./json-text.ts";

// Errors, and the check of options
export type { CheckpointPlace, ErrorCode, UnsupportedPlace } from "./errors.ts";
export {
  CacheFullError,
  CheckpointError,
  ContextOverflowError,
  MemoryError,
  OptionError,
  PolyllamaError,
  UnsupportedError,
} from "./errors.ts";
export type { EnvironmentVariable } from "./environment.ts";
export { environment, environmentFlag } from "./environment.ts";
export type { OptionSchema, OptionType } from "./option-types.ts";
export { option } from "./option-types.ts";
export { checkNumber, checkOptions, checkValue } from "./options.ts";
export { nearestName } from "./nearest-name.ts";
// What is logged of large objects
export { showBriefly } from "./brief.ts";
