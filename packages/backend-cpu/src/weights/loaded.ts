// Weights in memory, and where each lies.

import {
  columnCount,
  cutWeight,
  PolyllamaError,
  resolveRanges,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { ParameterStorage, WeightGroup } from "@polyllama/planner";
import { fromGroups, groupedWords, intoGroups } from "../training/layout.ts";
import type { WeightLayout } from "./layout.ts";
import type { KeptWeights } from "./local.ts";

export class LoadedWeights implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: WeightLayout;
  readonly bytes: number;
  readonly #kept: KeptWeights;
  /** Where they came from. */
  readonly #source: WeightSource;
  /** Others, which lie elsewhere. */
  readonly #others: LoadedWeights | undefined;

  constructor(
    weights: ReadonlyMap<WeightName, WeightInfo>,
    layout: WeightLayout,
    kept: KeptWeights,
    source: WeightSource,
    others?: LoadedWeights,
  ) {
    this.weights = weights;
    this.#source = source;
    this.layout = layout;
    this.bytes = layout.bytes;
    this.#kept = kept;
    this.#others = others;
  }

  /** These weights, and others beside them: what a graph that has both is computed with. */
  beside(others: LoadedWeights): LoadedWeights {
    const layout = { ...this.layout, places: new Map([...this.layout.places, ...others.layout.places]) };
    const weights = new Map([...this.weights, ...others.weights]);
    return new LoadedWeights(weights, layout, this.#kept, this.#source, others);
  }

  matrix(group: WeightGroup): bigint {
    const before = this.layout.matrices.get(group);
    if (before === undefined && this.#others !== undefined) return this.#others.matrix(group);
    return this.#kept.arena.ref + BigInt(before!); // one of the layouts places each group
  }

  /** The weight of a norm, f32. */
  norm(name: WeightName): bigint {
    return this.#kept.arena.ref + BigInt(this.layout.norms.get(name)!); // the layout places all that graphs normalize with
  }

  /** A weight that stands alone, in f32. */
  at(name: WeightName): bigint {
    const place = this.layout.places.get(name);
    return place === undefined ? this.norm(name) : this.matrix(place.group);
  }

  /** Where a weight that stands alone in f32 lies, a norm's or a matrix in groups. @throws {PolyllamaError} */
  #floats(info: WeightInfo): Float32Array {
    const { name } = info;
    const { arena } = this.#kept;
    const norm = this.layout.norms.get(name);
    if (norm !== undefined) return arena.floatsAt(norm, columnCount(info));
    const group = this.layout.places.get(name)?.group;
    if (group?.members.length === 1 && group.format === "f32") {
      return arena.floatsAt(this.layout.matrices.get(group)!, groupedWords(group.rows, group.columns)); // placed
    }
    const remedy = "Load them for a graph that updates it, with `mutable: true`.";
    throw new PolyllamaError(
      "ERR_PARAMETERS",
      `"${name}" is stored in ${info.format} and cannot be updated. ${remedy}`,
    );
  }

  /**
   * What overwrites a weight, given its values row after row.
   *
   * @throws {PolyllamaError} `ERR_PARAMETERS` for one that is not stored alone in f32
   */
  writer(name: WeightName): (values: Float32Array) => void {
    const info = this.weights.get(name)!; // the frame has seen that it is there
    const memory = this.#floats(info);
    if (this.layout.norms.has(name)) return (values) => memory.set(values);
    return (values) => intoGroups(values, columnCount(info), memory);
  }

  /** Weights as they are when they are read; those that cannot be updated as they came. */
  export(): WeightSource {
    const isUpdated = ({ name, format }: WeightInfo): boolean => {
      return (
        format === "f32" && (this.layout.norms.has(name) || this.layout.places.get(name)?.group.members.length === 1)
      );
    };
    return {
      name: "parameters of the processor",
      weights: new Map(this.weights),
      read: async (name, ranges, signal) => {
        const info = this.weights.get(name)!; // the caller asks for what is listed
        if (!isUpdated(info)) return this.#source.read(name, ranges, signal);
        const memory = this.#floats(info);
        if (this.layout.norms.has(name)) {
          const { buffer, byteOffset, byteLength } = memory.slice();
          return cutWeight(new Uint8Array(buffer, byteOffset, byteLength), resolveRanges(info, ranges));
        }
        const { rows, columns } = resolveRanges(info, ranges);
        const own = fromGroups(memory, rows.first, rows.count, columnCount(info)); // [rows.count, columnCount]
        const cut = { ...info, shape: [rows.count, columnCount(info)] };
        const bytes = new Uint8Array(own.buffer, own.byteOffset, own.byteLength);
        return cutWeight(bytes, resolveRanges(cut, { columns }));
      },
      fingerprint: async () => `cpu ${crypto.randomUUID()}`,
    };
  }

  async free(): Promise<void> {
    await this.#kept.release();
    this.#kept.arena[Symbol.dispose]();
  }
}
