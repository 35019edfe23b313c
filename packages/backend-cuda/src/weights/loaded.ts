// Weights in the card's memory, and their addresses as kernels read them.

import type { WeightName } from "@polyllama/core";
import type { Handle } from "../driver/api.ts";
import type { DeviceWeights } from "../kernels/weights.ts";
import type { DeviceMemory } from "../memory.ts";
import type { Matrix, Plane, WeightLayout } from "./layout.ts";

/** Weights in the card's memory. */
export class LoadedWeights implements Disposable {
  readonly layout: WeightLayout;
  readonly #matrices: ReadonlyMap<Matrix, DeviceMemory>;
  readonly #vectors: ReadonlyMap<WeightName, DeviceMemory>;

  constructor(
    layout: WeightLayout,
    matrices: ReadonlyMap<Matrix, DeviceMemory>,
    vectors: ReadonlyMap<WeightName, DeviceMemory>,
  ) {
    this.layout = layout;
    this.#matrices = matrices;
    this.#vectors = vectors;
  }

  /** A matrix as kernels read it, from a row on. */
  matrix(matrix: Matrix, first: number): DeviceWeights {
    const { address } = this.#matrices.get(matrix)!;
    const plane = (name: Plane): Handle => {
      const layout = matrix.planes.find((candidate) => candidate.plane === name);
      return layout === undefined ? 0n : address + BigInt(layout.start);
    };
    const planes = { "W.q": plane("q"), "W.h": plane("h"), "W.s": plane("s"), "W.d": plane("d") };
    const { format, columns, pitch } = matrix;
    return { format, planes, columns, pitch, first };
  }

  vector(name: WeightName): Handle {
    return this.#vectors.get(name)!.address;
  }

  [Symbol.dispose](): void {
    for (const memory of this.#matrices.values()) memory[Symbol.dispose]();
    for (const memory of this.#vectors.values()) memory[Symbol.dispose]();
  }
}
