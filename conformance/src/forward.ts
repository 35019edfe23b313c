// A backend or a program that does what another one does, but for what is given: for counting what is asked of a
// backend, watching what it gives, and planting faults around it.

import type { Backend, Program } from "@polyllama/core";

/** A backend that passes everything on to another one, except what is given in its place. */
export function forwardBackend(backend: Backend, changes: Partial<Backend>): Backend {
  return {
    name: backend.name,
    roundings: backend.roundings,
    availableMemory: backend.availableMemory,
    describe: () => backend.describe(),
    estimateMemory: (...given) => backend.estimateMemory(...given),
    compile: (...given) => backend.compile(...given),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
    ...changes,
  };
}

/** A program that passes everything on to another one, except what is given in its place. */
export function forwardProgram(program: Program, changes: Partial<Program>): Program {
  const { sample } = program;
  return {
    graph: program.graph,
    createCache: (...given) => program.createCache(...given),
    run: (...given) => program.run(...given),
    sample: sample && ((...given) => sample.apply(program, given)),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    ...changes,
  };
}
