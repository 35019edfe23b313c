// A backend, a device or a program that does what another one does, but for what is given: for counting what is asked
// of it, watching what it gives, and planting faults around it.

import type { Backend, Program } from "@polyllama/core";
import type { Device, Program as DeviceProgram } from "@polyllama/core/device";

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

/** A device that passes everything on to another one, except what is given in its place. */
export function forwardDevice(device: Device, changes: Partial<Device>): Device {
  return {
    name: device.name,
    roundings: device.roundings,
    formats: device.formats,
    features: device.features,
    describe: () => device.describe(),
    supports: (...given) => device.supports(...given),
    memory: () => device.memory(),
    estimateMemory: (...given) => device.estimateMemory(...given),
    loadParameters: (...given) => device.loadParameters(...given),
    cachePool: (...given) => device.cachePool(...given),
    compile: (...given) => device.compile(...given),
    [Symbol.asyncDispose]: async () => {
      await device[Symbol.asyncDispose]();
    },
    ...changes,
  };
}

/** A device's program that passes everything on to another one, except what is given in its place. */
export function forwardDeviceProgram(program: DeviceProgram, changes: Partial<DeviceProgram>): DeviceProgram {
  return {
    graph: program.graph,
    parameters: program.parameters,
    submit: (...given) => program.submit(...given),
    [Symbol.asyncDispose]: async () => {
      await program[Symbol.asyncDispose]();
    },
    ...changes,
  };
}
