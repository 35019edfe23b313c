// @polyllama/backend-cuda: Llama on NVIDIA cards, through the driver alone.

export type { Cuda, CudaOptions, CudaStatus } from "./backend.ts";
export { cuda } from "./backend.ts";
