// @polyllama/backend-onnxruntime: the graph on the processor, by ONNX Runtime's own library.

export { onnxruntime } from "./device.ts";
export type { OnnxRuntimeOptions } from "./options.ts";
export type { PackedWeightsReason } from "./cache/failure.ts";
export { PackedWeightsError } from "./cache/failure.ts";
// What a model's steps are, for `polyllama inspect --plan`
export { onnxruntimePlans } from "./describe-plans.ts";
// What a machine has, for `polyllama doctor`
export { defaultCacheFolder } from "./cache/folder.ts";
export type { OnnxRuntimeStatus } from "./ort/library.ts";
export { onnxRuntimeStatus } from "./ort/library.ts";
