// What parameters do when an adapter is added or removed: it is read, and goes to the weights where these compute with
// adapters themselves, and else to the programs that switch between them.

import type { Graph, WeightInfo, WeightName } from "@polyllama/core";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { ParameterStorage } from "../frame/shared-parameters.ts";
import { type Adapter, type ReadValues, readAdapter } from "./adapter.ts";
import type { AdapterKeeper } from "./adapter-keeper.ts";
import type { SwitchedAdapters } from "./switched-adapters.ts";

/** Awaits work that ends when the device is disposed. */
export type Load = <Made>(action: (signal: AbortSignal) => Promise<Made>) => Promise<Made>;

/**
 * @param linears The matrices that linears multiply with.
 * @param switched Absent where weights compute with adapters themselves.
 */
export function keepAdapters<Weights extends ParameterStorage, Pool extends PoolStorage>(
  weights: Weights,
  linears: ReadonlyMap<WeightName, WeightInfo>,
  readValues: ReadValues,
  switched: SwitchedAdapters<Weights, Pool> | undefined,
  load: Load,
): AdapterKeeper {
  const set = async (name: string, adapter: Adapter | undefined, signal: AbortSignal): Promise<void> => {
    if (switched === undefined) weights.setAdapter?.(name, adapter);
    else await switched.set(name, adapter, signal);
  };
  return {
    get bytes() {
      return switched?.bytes ?? 0;
    },
    add: (name, source, options, ended) =>
      load(async (signal) => {
        try {
          await set(name, await readAdapter(linears.values(), source, options, readValues, signal), signal);
        } finally {
          await ended();
        }
      }),
    remove: (name, ended) => load((signal) => set(name, undefined, signal).finally(ended)),
    free: () => switched?.free(),
  };
}

/** The matrices that linears of some graphs multiply with. */
export function linearsOf(
  graphs: readonly Graph[],
  infos: ReadonlyMap<WeightName, WeightInfo>,
): ReadonlyMap<WeightName, WeightInfo> {
  const names = graphs.flatMap(({ nodes }) => nodes.flatMap((node) => (node.op === "linear" ? [node.weight] : [])));
  return new Map(names.map((name) => [name, infos.get(name)!])); // weights of the graphs are loaded
}
