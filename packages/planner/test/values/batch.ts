// What graphs and plans are computed with: two sequences, one of which has a past, and numbers for all weights and
// inputs.

import { columnCount, type Graph, rowCount, type ValueName, type WeightInfo, type WeightName } from "@polyllama/core";
import type { Past, Row } from "./rows.ts";

/** Rows of a step. */
export interface Batch {
  /** By row: its sequence, and its position there. */
  readonly places: readonly { readonly sequence: number; readonly position: number }[];
  /** Rows that are selected. */
  readonly selected: readonly number[];
  /** Of an input, by row; tokens have one number. */
  readonly inputs: ReadonlyMap<ValueName, readonly Row[]>;
  readonly weights: ReadonlyMap<WeightName, readonly Row[]>;
  /** A new copy of what the caches hold, by attention and sequence. */
  pasts(): readonly (readonly Past[])[];
}

/** Positions that the sequences have, and rows that they advance by. */
const sequences = [
  { past: 2, rows: 3 },
  { past: 0, rows: 2 },
];

export function batchFor(graph: Graph, infos: ReadonlyMap<WeightName, WeightInfo>): Batch {
  const places = sequences.flatMap(({ past, rows }, sequence) =>
    Array.from({ length: rows }, (_, i) => ({ sequence, position: past + i })),
  );
  const inputs = graph.inputs.map((input): readonly [ValueName, readonly Row[]] => {
    const numbers = generator(input.name);
    if (input.kind === "tokens") return [input.name, places.map(() => [Math.floor((numbers() + 1) * 2)])];
    return [input.name, places.map(() => Array.from({ length: input.width }, numbers))]; // there are no fixed ones
  });
  const weights = graph.weights.map(({ name }): readonly [WeightName, readonly Row[]] => {
    const [numbers, info] = [generator(name), infos.get(name)!]; // of every weight
    return [name, Array.from({ length: rowCount(info) }, () => Array.from({ length: columnCount(info) }, numbers))];
  });
  const attentions = graph.nodes.filter((node) => node.op === "attention");
  return {
    places,
    selected: [2, 4],
    inputs: new Map(inputs),
    weights: new Map(weights),
    pasts: () =>
      attentions.map(({ output, kvHeads, headDim }) =>
        sequences.map(({ past }, sequence) => {
          const numbers = generator(`${output} ${sequence}`);
          const rows = (): Row[] =>
            Array.from({ length: past }, () => Array.from({ length: kvHeads * headDim }, numbers));
          return { k: rows(), v: rows() };
        }),
      ),
  };
}

/** Numbers between -1 and 1, others for each name. */
function generator(name: string): () => number {
  let state = 1;
  for (const letter of name) state = (Math.imul(state, 31) + letter.charCodeAt(0)) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
