// Exponents of rows of weights, for tensor cores: a row is multiplied by a power of two that brings it into the range of f16
// (kernels/gemm_mma.cu). They are found on the card once the weights are there. f16 itself needs none.

import type { Graph } from "@polyllama/core";
import type { Handle } from "./driver/api.ts";
import type { Gpu } from "./gpu.ts";
import { rowExponents } from "./kernels/gemm_mma.ts";
import type { DeviceMemory } from "./memory.ts";
import type { Matrix, WeightLayout } from "./weights/layout.ts";
import type { LoadedWeights } from "./weights/loaded.ts";

export class RowExponents implements Disposable {
  readonly #memory: DeviceMemory;
  readonly #starts: ReadonlyMap<Matrix, number>;

  constructor(memory: DeviceMemory, starts: ReadonlyMap<Matrix, number>) {
    this.#memory = memory;
    this.#starts = starts;
  }

  /** Address of the exponents of a matrix's rows. */
  of(matrix: Matrix): Handle {
    const start = this.#starts.get(matrix);
    return start === undefined ? 0n : this.#memory.address + BigInt(start);
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** Where each matrix's exponents begin, in bytes, and how many they are together. */
export function planExponents(
  graph: Graph,
  layout: WeightLayout,
): { readonly starts: ReadonlyMap<Matrix, number>; readonly bytes: number } {
  const starts = new Map<Matrix, number>();
  let bytes = 0;
  for (const node of graph.nodes) {
    if (node.op !== "linear") continue;
    const { matrix } = layout.places.get(node.weight)!;
    if (starts.has(matrix) || matrix.format === "f32" || matrix.format === "f16") continue;
    starts.set(matrix, bytes);
    bytes += 4 * matrix.rows;
  }
  return { starts, bytes };
}

/** @throws {PolyllamaError} `ERR_MEMORY` */
export async function findExponents(gpu: Gpu, graph: Graph, weights: LoadedWeights): Promise<RowExponents> {
  const { starts, bytes } = planExponents(graph, weights.layout);
  const found = new RowExponents(gpu.allocate(bytes, "exponents of weights"), starts);
  try {
    for (const matrix of starts.keys()) {
      gpu.launch(rowExponents(matrix.rows, weights.matrix(matrix, 0), found.of(matrix)));
    }
    await gpu.finished();
    return found;
  } catch (error) {
    found[Symbol.dispose]();
    throw error;
  }
}
