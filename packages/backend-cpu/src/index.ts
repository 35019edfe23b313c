// @polyllama/backend-cpu: the graph on the processor, by kernels of our own.

export { cpu } from "./cpu.ts";
export type { CpuOptions } from "./options.ts";
// What a model's steps are, for `polyllama inspect --plan`
export { cpuPlans } from "./describe-plans.ts";
// What a machine has, for `polyllama doctor`
export { instructionSets } from "./native/engine.ts";
