// The adapters that parameters have, as one stack of A and one of B for each matrix that any of them changes: weights
// like others, in f32, which are made row by row as they are read. Every adapter has the same columns in all stacks,
// as many as its largest rank; where it has less, or does not change the matrix, they are zeros.

import {
  adapterStacks,
  cutWeight,
  openGate,
  resolveRanges,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { Adapter } from "./adapter.ts";

/** Columns are filled up to a multiple of this, so that stacks of one input may be stored together. */
const columnMultiple = 16;

/** The stacks of some adapters. */
export interface AdapterStack {
  /** The matrices that they change. */
  readonly targets: ReadonlySet<WeightName>;
  /** R */
  readonly columns: number;
  /** By adapter. */
  readonly ranges: ReadonlyMap<string, { readonly first: number; readonly count: number }>;
  readonly source: WeightSource;
}

/** @param linears Shapes of the matrices. */
export function stackAdapters(
  adapters: ReadonlyMap<string, Adapter>,
  linears: ReadonlyMap<WeightName, WeightInfo>,
): AdapterStack {
  const ranges = new Map<string, { readonly first: number; readonly count: number }>();
  let end = 0;
  for (const [name, adapter] of adapters) {
    const count = Math.max(...[...adapter.values()].map(({ rank }) => rank));
    ranges.set(name, { first: end, count });
    end += count;
  }
  const columns = Math.ceil(end / columnMultiple) * columnMultiple;
  const targets = new Set([...adapters.values()].flatMap((adapter) => [...adapter.keys()]));
  const made = new Map<WeightName, { readonly info: WeightInfo; readonly row: Row }>();
  for (const target of targets) {
    const [rows = 0, width = 0] = linears.get(target)!.shape; // [M, K]; adapters change linears alone
    const own = [...adapters].flatMap(([name, adapter]) => {
      const matrices = adapter.get(target);
      return matrices === undefined ? [] : [{ ...matrices, first: ranges.get(name)!.first }]; // each has a range
    });
    const [a, b] = adapterStacks(target);
    made.set(a, {
      info: { name: a, shape: [columns, width], format: "f32" },
      row(r, values) {
        const found = own.find(({ first, rank }) => first <= r && r < first + rank);
        if (found !== undefined) values.set(found.a.subarray((r - found.first) * width, (r - found.first + 1) * width));
      },
    });
    made.set(b, {
      info: { name: b, shape: [rows, columns], format: "f32" },
      row(m, values) {
        for (const { b: matrix, first, rank, scale } of own) {
          for (let r = 0; r < rank; r++) values[first + r] = (matrix[m * rank + r]! * scale) / openGate;
        }
      },
    });
  }
  const source: WeightSource = {
    name: "adapters",
    weights: new Map([...made].map(([name, { info }]) => [name, info])),
    async read(name, asked) {
      const { info, row } = made.get(name)!; // the caller asks for what is listed
      const cut = resolveRanges(info, asked);
      const width = info.shape[1]!; // of two
      const values = new Float32Array(cut.rows.count * width);
      for (let i = 0; i < cut.rows.count; i++) row(cut.rows.first + i, values.subarray(i * width, (i + 1) * width));
      return cutWeight(new Uint8Array(values.buffer), { ...cut, rows: { first: 0, count: cut.rows.count } });
    },
    fingerprint: async () => `adapters ${crypto.randomUUID()}`,
  };
  return { targets, columns, ranges, source };
}

/** Writes a row of a stack, where it is not zero. */
type Row = (row: number, values: Float32Array) => void;
