// @polyllama/backend-cpu: the graph on the processor, by ONNX Runtime's own library.

export type { CpuOptions } from "./backend.ts";
export { cpu } from "./backend.ts";
export type { PackedWeightsReason } from "./cache/failure.ts";
export { PackedWeightsError } from "./cache/failure.ts";
// What a machine has, for `polyllama doctor`
export { defaultCacheFolder } from "./cache/folder.ts";
export type { OnnxRuntimeStatus } from "./ort/library.ts";
export { onnxRuntimeStatus } from "./ort/library.ts";
