// What benchmarks of this repository use of the inside: how many kernels are dispatched, and the time of each.

export { Profile } from "./src/profile.ts";
export { WebGpuProgram } from "./src/program/program.ts";
