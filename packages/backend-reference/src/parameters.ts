// Weights as exact numbers, and low-rank adapters beside them.

import {
  CheckpointError,
  checkWeights,
  columnCount,
  cutWeight,
  formatBytes,
  type Graph,
  resolveRanges,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { type LoadValuesOptions, loadValues, offsetFormats } from "@polyllama/formats";
import type { Adapter, ParameterStorage } from "@polyllama/planner";
import type { Rounding } from "./bounds.ts";
import type { LoadedWeight } from "./loaded-weight.ts";
import { lowRankBound } from "./low-rank-bound.ts";
import type { Matrix } from "./matrix.ts";
import { linear } from "./ops/linear.ts";

/** The weights of a program. */
export class ReferenceParameters implements ParameterStorage {
  readonly #weights: Map<WeightName, LoadedWeight>;
  #adapters: ReadonlyMap<string, Adapter> = new Map();

  constructor(weights: ReadonlyMap<WeightName, LoadedWeight>) {
    this.#weights = new Map(weights);
  }

  get weights(): ReadonlyMap<WeightName, WeightInfo> {
    return new Map([...this.#weights].map(([name, { info }]) => [name, info]));
  }

  get loaded(): ReadonlyMap<WeightName, LoadedWeight> {
    return this.#weights;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { values, bytes: kept } of this.#weights.values()) bytes += values.byteLength + kept.byteLength;
    for (const adapter of this.#adapters.values()) {
      for (const { a, b } of adapter.values()) bytes += a.byteLength + b.byteLength;
    }
    return bytes;
  }

  /** Replaces values, which are in float64 from then on, and f32 for whoever reads them. value [rows, columns] */
  update(name: WeightName, { data }: Matrix): void {
    const { info } = this.#weights.get(name)!; // whoever updates has seen that it is there
    const values = Float64Array.from(data);
    this.#weights.set(name, { info: { ...info, format: "f32" }, values, bytes: new Uint8Array(0) });
  }

  /** Those of now: steps keep those that they were accepted with. */
  get adapters(): ReadonlyMap<string, Adapter> {
    return this.#adapters;
  }

  /** Adds what an adapter makes of x [N, K] to y [N, M]. */
  adapt(adapter: Adapter, name: WeightName, x: Matrix, y: Matrix): void {
    const found = adapter.get(name);
    if (found === undefined) return;
    const addition = linear(linear(x, found.a), found.b); // [N, M]
    addition.data.forEach((value, i) => {
      y.data[i]! += found.scale * value;
    });
  }

  /** Adds to a bound [N, M] of such a y how far a backend may be off in what an adapter makes of x. */
  adaptBound(adapter: Adapter, name: WeightName, x: Matrix, bound: Matrix, rounding: Rounding): void {
    const found = adapter.get(name);
    const weight = this.#weights.get(name);
    if (found === undefined || weight === undefined) return;
    const y = linear(x, weight.values);
    this.adapt(adapter, name, x, y);
    const own = lowRankBound(x, y, found, rounding);
    own.data.forEach((more, i) => {
      bound.data[i]! += more;
    });
  }

  setAdapter(name: string, adapter: Adapter | undefined): void {
    const adapters = new Map(this.#adapters);
    if (adapter === undefined) adapters.delete(name);
    else adapters.set(name, adapter);
    this.#adapters = adapters;
  }

  export(): WeightSource {
    const held = new Map(this.#weights);
    return {
      name: "parameters of the reference",
      weights: new Map([...held].map(([name, { info }]) => [name, { ...info, format: "f32" }])),
      async read(name, ranges) {
        const { info, values } = held.get(name)!; // the caller asks for what is listed
        const { buffer, byteOffset, byteLength } = values instanceof Float32Array ? values : Float32Array.from(values);
        const bytes = new Uint8Array(buffer, byteOffset, byteLength);
        return cutWeight(bytes, resolveRanges({ ...info, format: "f32" }, ranges));
      },
      async readExact(name) {
        const values = held.get(name)?.values;
        return values instanceof Float64Array ? values.slice() : undefined;
      },
      fingerprint: async () => `reference ${crypto.randomUUID()}`,
    };
  }

  free(): void {
    this.#weights.clear();
    this.#adapters = new Map();
  }
}

/** @throws {CheckpointError}; the signal's reason. */
export async function loadWeights(
  graphs: readonly Graph[],
  source: WeightSource,
  options: LoadValuesOptions,
): Promise<ReferenceParameters> {
  // Only blocks that a backend may take apart are kept beside their values.
  const kept = new Map<WeightName, Uint8Array>();
  const onRows = (info: WeightInfo, bytes: Uint8Array, first: number): void => {
    if (!(info.format in offsetFormats)) return;
    const all = kept.get(info.name) ?? new Uint8Array(formatBytes(info.format, rowCount(info) * columnCount(info)));
    all.set(bytes, formatBytes(info.format, first * columnCount(info)));
    kept.set(info.name, all);
  };
  const exact = await exactWeights(graphs, source, options.signal);
  const loaded = new Map<WeightName, LoadedWeight>(exact);
  for (const [name, weight] of await loadValues(graphs, source, { ...options, onRows, except: exact })) {
    loaded.set(name, { ...weight, bytes: kept.get(name) ?? new Uint8Array(0) });
  }
  return new ReferenceParameters(loaded);
}

/** Weights of which the source has more than their format holds. @throws {CheckpointError} */
async function exactWeights(
  graphs: readonly Graph[],
  source: WeightSource,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<WeightName, LoadedWeight>> {
  const exact = new Map<WeightName, LoadedWeight>();
  for (const info of graphs.flatMap((graph) => checkWeights(graph, source))) {
    const values = exact.has(info.name) ? undefined : await source.readExact?.(info.name, signal);
    if (values !== undefined) exact.set(info.name, { info, values, bytes: new Uint8Array(0) });
  }
  for (const { info, values } of exact.values()) {
    const elements = rowCount(info) * columnCount(info);
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong < 0 && values.length === elements) continue;
    const problem = wrong < 0 ? `has ${values.length} values, not ${elements}` : `value ${wrong} is ${values[wrong]}`;
    throw new CheckpointError({ file: source.name, tensor: info.name }, problem, "Use another checkpoint.");
  }
  return exact;
}
