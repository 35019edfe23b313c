// @polyllama/backend-cpu: the graph on the processor, by ONNX Runtime's own library.

export type { CpuOptions } from "./backend.ts";
export { cpu } from "./backend.ts";
// What a machine has, for `polyllama doctor`
export type { OnnxRuntimeStatus } from "./ort/library.ts";
export { onnxRuntimeStatus } from "./ort/library.ts";
export { defaultCacheFolder } from "./weight-cache.ts";
