// Exponents of rows of weights, for tensor cores: a row is multiplied by a power of two that brings it into the range
// of f16 (kernels/gemm_mma.cu). They are found on the card once the weights are there. f16 itself needs none.

import type { WeightGroup } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import { rowExponents } from "../kernels/gemm_mma.ts";
import type { DeviceMemory } from "../memory.ts";
import { deviceWeights } from "./addresses.ts";
import type { WeightLayout } from "./layout.ts";

export class RowExponents implements Disposable {
  readonly bytes: number;
  readonly #memory: DeviceMemory;
  readonly #starts: ReadonlyMap<WeightGroup, number>;

  constructor(memory: DeviceMemory, { starts, bytes }: ExponentPlaces) {
    this.bytes = bytes;
    this.#memory = memory;
    this.#starts = starts;
  }

  /** Address of the exponents of a matrix's rows. */
  of(group: WeightGroup): Handle {
    const start = this.#starts.get(group);
    return start === undefined ? 0n : this.#memory.address + BigInt(start);
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** Where each matrix's exponents begin, in bytes, and how many they are together. */
export interface ExponentPlaces {
  readonly starts: ReadonlyMap<WeightGroup, number>;
  readonly bytes: number;
}

export function placeExponents({ multiplied }: WeightLayout): ExponentPlaces {
  const starts = new Map<WeightGroup, number>();
  let bytes = 0;
  for (const group of multiplied) {
    if (group.format === "f32" || group.format === "f16") continue;
    starts.set(group, bytes);
    bytes += 4 * group.rows;
  }
  return { starts, bytes };
}

/** @throws {MemoryError} */
export async function findExponents(
  gpu: Gpu,
  layout: WeightLayout,
  matrices: ReadonlyMap<WeightGroup, DeviceMemory>,
): Promise<RowExponents> {
  const places = placeExponents(layout);
  const found = new RowExponents(gpu.allocate(places.bytes, "exponents of weights"), places);
  try {
    for (const group of places.starts.keys()) {
      const weights = deviceWeights(layout, group, matrices.get(group)!, 0); // the layout has a matrix for each group
      gpu.launch(rowExponents(group.rows, weights, found.of(group)));
    }
    await gpu.finished();
    return found;
  } catch (error) {
    found[Symbol.dispose]();
    throw error;
  }
}
