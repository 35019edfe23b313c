// @polyllama/backend-cuda: Llama on NVIDIA cards, through the driver alone.

export { type Cuda, cuda, cudaDevice } from "./cuda.ts";
export type { CudaOptions } from "./options.ts";
export type { CudaStatus } from "./status.ts";
