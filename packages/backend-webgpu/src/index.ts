// @polyllama/backend-webgpu: Llama in WGSL, for browsers and Deno, and for Node through Dawn.

export type { WebGpuDevice } from "./device.ts";
export type { LoweredLimits } from "./gpu.ts";
export type { WebGpuOptions } from "./options.ts";
export { webgpu } from "./webgpu.ts";
// What a model's steps are, for `polyllama inspect --plan`
export { webgpuPlans } from "./describe-plans.ts";
// What a machine has, for `polyllama doctor`
export { describeAdapter, findAdapter } from "./adapter.ts";
