// A device or a program that does what another one does, but for what is given: for counting what is asked of it,
// watching what it gives, and planting faults around it.

import type { Device, Program } from "@polyllama/core/device";

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

/** A program that passes everything on to another one, except what is given in its place. */
export function forwardDeviceProgram(program: Program, changes: Partial<Program>): Program {
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
