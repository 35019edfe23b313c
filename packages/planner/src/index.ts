// What authors of backends use.

export {
  cudaAssertions,
  type FieldType,
  f32,
  type Struct,
  type StructValues,
  struct,
  u32,
  u64,
  wgslStruct,
} from "./struct.ts";
export { asBackend, type BackendOptions } from "./frame/as-backend.ts";
export type { BlockCopy, CacheRows } from "./frame/paged-cache.ts";
export { PagedPool, type PoolStorage } from "./frame/paged-pool.ts";
export {
  type AcceptedStep,
  ProgramFrame,
  type StepCache,
  type StepExecutor,
  type StepRun,
} from "./frame/program-frame.ts";
export { Resources } from "./frame/resources.ts";
export { type ParameterStorage, SharedParameters } from "./frame/shared-parameters.ts";
export type { StepRecord } from "./frame/step-record.ts";
export { StepTensor, type TensorStorage } from "./frame/step-tensor.ts";
export { StepQueue } from "./frame/turns.ts";
