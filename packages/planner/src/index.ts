// @polyllama/planner: plans, parameters of kernels and the run frame, for authors of backends.

export {
  cudaAssertions,
  type FieldType,
  f32,
  f64,
  type Struct,
  type StructValues,
  struct,
  u32,
  u64,
  wgslStruct,
} from "./struct.ts";
export type { Adapter, LowRankMatrices } from "./adapters/adapter.ts";
export type { AdapterParts, LoadedStacks } from "./adapters/switched-adapters.ts";
export {
  type BlocksSize,
  type CacheParts,
  DeviceFrame,
  type DeviceParts,
  type TensorRegister,
} from "./frame/device-frame.ts";
export { type ExportedKind, headBytes, readLength, writeHead } from "./frame/exported-cache.ts";
export type { BlockCopy, CacheRows } from "./frame/paged-cache.ts";
export { PagedPool, type PoolStorage } from "./frame/paged-pool.ts";
export type { AcceptedStep, StepCache, StepExecutor, StepRun } from "./frame/program-frame.ts";
export { type ParameterStorage, SharedParameters } from "./frame/shared-parameters.ts";
export { orAborted } from "./frame/step-queue.ts";
export type { StepRecord } from "./frame/step-record.ts";
export { StepTensor, type TensorStorage } from "./frame/step-tensor.ts";
export { supportsHeads, supportsInference } from "./frame/supported.ts";
export { UnderWay } from "./frame/under-way.ts";
export { type GpuRunner, type GpuTensorStorage, gpuRun } from "./gpu/run.ts";
export {
  partsOf,
  partsTo,
  runsOf,
  type Sink,
  type SinkPart,
  takeOutputRows,
  takeToken,
  type TokenSink,
  wantsHostRows,
} from "./gpu/sinks.ts";
export {
  HostBlocks,
  type HostBlocksOptions,
  hostBlockRows,
  type KeysAndValues,
} from "./host/blocks.ts";
export {
  type Attended,
  type ComputedStep,
  computeStep,
  type HostComputation,
  type HostOperands,
} from "./host/evaluate.ts";
export { HostExecutor } from "./host/executor.ts";
export { estimateHostMemory } from "./host/memory.ts";
export { type ComputedRows, type StepContext, outputValue, rowsToCompute } from "./host/outputs.ts";
export { type Arrays, computedRows, type HostRows, takeRows } from "./host/rows.ts";
export { cutRows, type Piece, readAhead, readPiece } from "./host/read-ahead.ts";
export { type RowsWithin, type WantedOutput, WantedRows, wantedRows } from "./host/wanted-rows.ts";
export { HostWeights } from "./host/weights.ts";
export { hostRun, inputArrays, isHostTensor } from "./host/tensors.ts";
export { assignOffsets, assignSlots, type Slot } from "./plan/buffers.ts";
export { type Chunk, type ChunkMode, type ChunkSegment, cutChunks, fittingRows } from "./plan/chunks.ts";
export type { Conversion, Fusion, FusionPreferences } from "./plan/fusion.ts";
export { generationPlans } from "./plan/generation-plans.ts";
export { makePlan, type PlanPreferences } from "./plan/make-plan.ts";
export { findNeeds, type NeedPreferences, type Needs, type PlanRequest, type RowSet } from "./plan/needs.ts";
export {
  type AddStep,
  type AttentionStep,
  type CacheStep,
  type ConvertStep,
  type EmbeddingStep,
  forStep,
  type GatherStep,
  type Lifetime,
  type LinearStep,
  type Norm,
  type NormStep,
  type PerStep,
  type PlainOp,
  type PlainStep,
  type Place,
  type Plan,
  type PlanAttention,
  type PlanBuffer,
  type PlanStep,
  type RopeStep,
  type StepKind,
  type StepOf,
  type SwigluStep,
} from "./plan/plan.ts";
export { printPlan } from "./plan/print.ts";
export { type PlacedRotation, placeRotation, rotationKey, rotationStride } from "./plan/rotations.ts";
export {
  assertPlaced,
  assertStored,
  groupWeights,
  type StoredWeights,
  type WeightGroup,
  type WeightPlace,
  type WeightPreferences,
} from "./plan/weight-groups.ts";
export {
  type AddsTo,
  isPerRow,
  planTraining,
  type TrainingBuffer,
  type TrainingPlan,
  type TrainingStep,
} from "./training/plan.ts";
export { EitherExecutor } from "./training/either.ts";
export {
  type TensorLayout,
  type TrainingBackend,
  TrainingExecutor,
  type TrainingRun,
  type TrainingValues,
} from "./training/executor.ts";
export type { PreparedTraining } from "./training/plans.ts";
export { type MemorySource, RecycledMemory } from "./training/recycled-memory.ts";
export { isTrainingGraph, optimizedWeights } from "./training/updates.ts";
