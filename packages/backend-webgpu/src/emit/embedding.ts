// y[n] = table[tokens[n]]. Of a table beyond one binding every part is gone through; each writes the rows that it has.

import { type EmbeddingStep, struct, u32 } from "@polyllama/planner";
import { unitsPerRow } from "../pack.ts";
import { activations, type Dispatch, type Emission, type Emitted } from "./dispatch.ts";
import { formatValues } from "./linear.ts";

const parameters = struct({
  units: u32, // of 32 values in a row of the table
  rows: u32, // of this part of it
  before: u32, // rows of the parts before
  width: u32,
  y_offset: u32,
  y_stride: u32,
  high: u32, // where the plane of high bits begins among the scales
  four: u32, // 4, not known to compilers: unrolled loops take software adapters many seconds to compile
});

export function emitEmbedding({ label, rows, table, y }: EmbeddingStep, { layout }: Emission): Emitted {
  const { group } = table;
  const units = unitsPerRow(group.columns);
  const dispatches = layout.parts.get(group)!.map((part): Dispatch => {
    return {
      label,
      variants: [
        {
          rows: Number.POSITIVE_INFINITY,
          spec: { kernel: "embedding", parameters, values: formatValues(group), access: "rrrw" },
          grid: (count) => [Math.ceil(units / 64), count, 1],
        },
      ],
      resources: [{ kind: "tokens" }, { kind: "quants", part }, { kind: "scales", part }, activations(y)],
      parameters: parameters.encode({
        units,
        rows: part.rows,
        before: part.before,
        width: group.columns,
        y_offset: y.offset,
        y_stride: y.buffer.stride,
        high: part.high,
        four: 4,
      }),
      rows,
      work: 0,
    };
  });
  return { dispatches };
}
