// @polyllama/backend-cuda: Llama on NVIDIA cards, through the driver alone.

export { type Cuda, cuda } from "./cuda.ts";
// What a model's steps are, for `polyllama inspect --plan`
export { cudaPlans } from "./describe-plans.ts";
export type { CudaOptions } from "./options.ts";
export type { CudaStatus } from "./status.ts";
