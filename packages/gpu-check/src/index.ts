// @polyllama/gpu-check: a check of an NVIDIA card as a program, which other programs of this repository run, too.

export { run } from "./run.ts";
