// @polyllama/backend-webgpu: Llama in WGSL, for browsers and Deno, and for Node through Dawn.

export type { WebGpuBackend, WebGpuOptions } from "./backend.ts";
export { webgpu } from "./backend.ts";
export type { LoweredLimits } from "./gpu.ts";
// What a model's steps are, for `polyllama inspect --plan`
export { webgpuPlans } from "./describe-plans.ts";
// What a machine has, for `polyllama doctor`
export { describeAdapter, findAdapter } from "./adapter.ts";
