// All faults planted by hand. Those of the reference's and the onnxruntime backend's numbers are judged by cases, the
// others by tests.

import { checkpointsMutants } from "./checkpoints-mutants.ts";
import { cliMutants } from "./cli-mutants.ts";
import { coreMutants } from "./core-mutants.ts";
import { cpuMutants } from "./cpu-mutants.ts";
import { cudaMutants } from "./cuda-mutants.ts";
import { cudaTrainingMutants } from "./cuda-training-mutants.ts";
import { formatsMutants } from "./formats-mutants.ts";
import { gradientMutants } from "./gradient-mutants.ts";
import type { CaseMutant, Mutant } from "./mutant.ts";
import { onnxruntimeMutants } from "./onnxruntime-mutants.ts";
import { onnxruntimePathMutants } from "./onnxruntime-path-mutants.ts";
import { plannerMutants } from "./planner-mutants.ts";
import { polyllamaMutants } from "./polyllama-mutants.ts";
import { referenceMutants } from "./reference-mutants.ts";
import { trainingMutants } from "./training-mutants.ts";
import { vocabularyMutants } from "./vocabulary-mutants.ts";
import { webgpuMutants } from "./webgpu-mutants.ts";
import { webgpuTrainingMutants } from "./webgpu-training-mutants.ts";

export const caseMutants: readonly CaseMutant[] = [...referenceMutants, ...gradientMutants, ...onnxruntimeMutants];

export const testMutants: readonly Mutant[] = [
  ...coreMutants,
  ...formatsMutants,
  ...plannerMutants,
  ...vocabularyMutants,
  ...polyllamaMutants,
  ...checkpointsMutants,
  ...cliMutants,
  ...webgpuMutants,
  ...webgpuTrainingMutants,
  ...cpuMutants,
  ...cudaMutants,
  ...cudaTrainingMutants,
  ...onnxruntimePathMutants,
  ...trainingMutants,
];

export const mutants: readonly Mutant[] = [...caseMutants, ...testMutants].map(named);

/** The same id in two packages would make `--only` ambiguous. */
function named(mutant: Mutant, at: number, all: readonly Mutant[]): Mutant {
  if (all.findIndex(({ id }) => id === mutant.id) !== at) throw new Error(`Two mutants are called ${mutant.id}.`);
  return mutant;
}
