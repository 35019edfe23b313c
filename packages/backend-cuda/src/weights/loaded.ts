// Weights in the card's memory, and their addresses as kernels read them. Those in f32 can be overwritten, and are read back
// as they are.

import {
  columnCount,
  cutWeight,
  PolyllamaError,
  resolveRanges,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { ParameterStorage, WeightGroup } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { DeviceWeights } from "../kernels/weights.ts";
import type { DeviceMemory } from "../memory.ts";
import { readWords, writeWords } from "../words.ts";
import { deviceWeights } from "./addresses.ts";
import type { RowExponents } from "./exponents.ts";
import { floatPitch, type WeightLayout } from "./layout.ts";
import { fromRows, toRows } from "./rows.ts";

/** A weight in f32: rows, so many words apart. */
export interface FloatRows {
  readonly address: Handle;
  readonly rows: number;
  readonly stride: number;
}

/** Weights in the card's memory. */
export class LoadedWeights implements ParameterStorage {
  readonly gpu: Gpu;
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: WeightLayout;
  readonly bytes: number;
  /** Where linears of many rows go to tensor cores. */
  readonly exponents: RowExponents | undefined;
  readonly #matrices: ReadonlyMap<WeightGroup, DeviceMemory>;
  readonly #vectors: ReadonlyMap<WeightName, DeviceMemory>;
  /** Where they came from. */
  readonly #source: WeightSource;

  constructor(
    gpu: Gpu,
    weights: ReadonlyMap<WeightName, WeightInfo>,
    layout: WeightLayout,
    { matrices, vectors }: WeightMemory,
    { exponents, source }: { readonly exponents: RowExponents | undefined; readonly source: WeightSource },
  ) {
    this.gpu = gpu;
    this.weights = weights;
    this.layout = layout;
    this.bytes = layout.bytes + (exponents?.bytes ?? 0);
    this.exponents = exponents;
    this.#matrices = matrices;
    this.#vectors = vectors;
    this.#source = source;
  }

  /** These weights, and others beside them, whose memory stays theirs: what a graph that has both is computed with. */
  beside(others: LoadedWeights): LoadedWeights {
    const both = {
      ...this.layout,
      places: new Map([...this.layout.places, ...others.layout.places]),
      matrices: new Map([...this.layout.matrices, ...others.layout.matrices]),
      multiplied: new Set([...this.layout.multiplied, ...others.layout.multiplied]),
    };
    const matrices = new Map([...this.#matrices, ...others.#matrices]);
    const [weights, vectors] = [new Map([...this.weights, ...others.weights]), this.#vectors];
    const { exponents } = this; // f32, as the others are, has none
    return new LoadedWeights(this.gpu, weights, both, { matrices, vectors }, { exponents, source: this.#source });
  }

  /** Rows of a group from one on, as kernels read them. */
  matrix(group: WeightGroup, first: number): DeviceWeights {
    const memory = this.#matrices.get(group)!; // the layout has a matrix for each group
    return deviceWeights(this.layout, group, memory, first);
  }

  /** Address of a norm's weight, f32. */
  vector(name: WeightName): Handle {
    return this.#vectors.get(name)!.address; // the layout has all that graphs normalize with
  }

  /** Where a weight lies that is stored in f32; undefined for others, which cannot be updated. */
  floats(name: WeightName): FloatRows | undefined {
    const info = this.weights.get(name)!; // the caller asks for what is loaded
    if (info.format !== "f32") return undefined;
    const vector = this.#vectors.get(name);
    if (vector !== undefined) return { address: vector.address, rows: 1, stride: columnCount(info) };
    const { group, firstRow } = this.layout.places.get(name)!; // the layout has all weights
    const stride = floatPitch(group.columns);
    const start = this.matrix(group, 0).planes["W.q"];
    return { address: start + BigInt(4 * stride * firstRow), rows: rowCount(info), stride };
  }

  /**
   * What overwrites a weight, given its values row after row.
   *
   * @throws {PolyllamaError} `ERR_PARAMETERS` for one that is not stored alone in f32
   */
  writer(name: WeightName): (values: Float32Array) => Promise<void> {
    const info = this.weights.get(name)!; // the frame has seen that it is there
    const floats = this.floats(name);
    if (floats === undefined) {
      const remedy = "Load them for a graph that updates it, with `mutable: true`.";
      const problem = `"${name}" is stored in ${info.format} and cannot be updated. ${remedy}`;
      throw new PolyllamaError("ERR_PARAMETERS", problem);
    }
    const { address, stride } = floats;
    return (values) => writeWords(this.gpu, address, toRows(values, columnCount(info), stride), name);
  }

  /** Weights as they are when they are read; those that cannot be updated as they came. */
  export(): WeightSource {
    return {
      name: "parameters on CUDA",
      weights: new Map(this.weights),
      read: async (name, ranges, signal) => {
        const info = this.weights.get(name)!; // the caller asks for what is listed
        const floats = this.floats(name);
        if (floats === undefined) return this.#source.read(name, ranges, signal);
        const { rows } = resolveRanges(info, ranges);
        const columns = columnCount(info);
        const start = floats.address + BigInt(4 * floats.stride * rows.first);
        const words = await readWords(this.gpu, start, floats.stride * rows.count, name);
        signal?.throwIfAborted();
        const own = fromRows(new Float32Array(words), columns, floats.stride);
        const cut = info.shape.length === 1 ? info : { ...info, shape: [rows.count, columns] };
        return cutWeight(new Uint8Array(own.buffer), resolveRanges(cut, { columns: ranges?.columns }));
      },
      fingerprint: async () => `cuda ${crypto.randomUUID()}`,
    };
  }

  free(): void {
    for (const memory of this.#matrices.values()) memory[Symbol.dispose]();
    for (const memory of this.#vectors.values()) memory[Symbol.dispose]();
    this.exponents?.[Symbol.dispose]();
  }
}

/** Memory of weights, by what lies in it. */
export interface WeightMemory {
  readonly matrices: ReadonlyMap<WeightGroup, DeviceMemory>;
  readonly vectors: ReadonlyMap<WeightName, DeviceMemory>;
}
