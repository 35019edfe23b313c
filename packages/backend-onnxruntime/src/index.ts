// @polyllama/backend-onnxruntime: the graph on the processor, by ONNX Runtime's own library.

export { onnxruntime } from "./device.ts";
export type { OnnxRuntimeOptions } from "./options.ts";
export { PackedWeightsError, type PackedWeightsReason } from "@polyllama/planner/packed-weights";
// What a model's steps are, for `polyllama inspect --plan`
export { onnxruntimePlans } from "./describe-plans.ts";
// What a machine has, for `polyllama doctor`
export { defaultCacheFolder } from "@polyllama/planner/packed-weights";
export type { OnnxRuntimeStatus } from "./ort/library.ts";
export { onnxRuntimeStatus } from "./ort/library.ts";
