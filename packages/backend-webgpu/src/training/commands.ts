// What a step of training becomes: kernels over parts of buffers, and copies between them, in order.

import type { Struct, StructValues } from "@polyllama/planner";
import type { Grid } from "../emit/dispatch.ts";
import type { Access, PipelineSpec } from "../gpu.ts";
import type { KernelName, ShaderValues } from "../shader.ts";

/** Part of a buffer; it begins at a multiple of 256 bytes. */
export interface View {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** A kernel with all that it is given. */
export interface Kernel {
  readonly kind: "kernel";
  /** For errors: the operation and its shapes. */
  readonly label: string;
  readonly spec: PipelineSpec;
  readonly parameters: ArrayBuffer;
  readonly resources: readonly View[];
  readonly grid: Grid;
  /** Multiplications, to keep submissions short. */
  readonly work: number;
}

export type Command =
  | Kernel
  | { readonly kind: "copy"; readonly from: View; readonly to: View }
  | { readonly kind: "clear"; readonly to: View };

/** All of a buffer. */
export function whole(buffer: GPUBuffer): View {
  return { buffer, offset: 0, bytes: buffer.size };
}

/** Words of a view. */
export function part({ buffer, offset }: View, firstWord: number, words: number): View {
  return { buffer, offset: offset + 4 * firstWord, bytes: 4 * words };
}

/** Copies as much as both have. */
export function copy(from: View, to: View): Command {
  return { kind: "copy", from, to };
}

/** Declares a kernel: its parameters, and the order of its resources. */
export function declareKernel<const F extends Struct["fields"]>(
  kernel: KernelName,
  parameters: Struct<F>,
  access: Access,
) {
  return (
    label: string,
    values: ShaderValues,
    given: StructValues<F>,
    resources: readonly View[],
    grid: Grid,
    work = 0,
  ): Kernel => {
    // Those that only some variants have come last, and are read.
    const used = access.padEnd(resources.length, "r").slice(0, resources.length);
    const spec = { kernel, parameters, values, access: used };
    return { kind: "kernel", label, spec, parameters: parameters.encode(given), resources, grid, work };
  };
}

/** Workgroups of 256 that go over so many words together. */
export function flatGrid(words: number): Grid {
  return [Math.max(1, Math.min(4096, Math.ceil(words / 256))), 1, 1];
}
