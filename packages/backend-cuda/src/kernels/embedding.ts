// Launches of embedding.cu.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";
import { type DeviceWeights, planeFields } from "./weights.ts";

const parameters = struct({ ...planeFields, rows: u64, y: u64, K: u32, pitch: u32, y_stride: u32 });
export const structs: KernelStructs = { Parameters: parameters };

/** Rows of the table, by the tokens of the step's rows. */
export function embedding(rows: number, step: Handle, table: DeviceWeights, y: DeviceRows): Launch {
  return {
    image: `embedding_${table.format}`,
    kernel: "embedding",
    grid: [Math.ceil(table.columns / 32 / 128), rows, 1],
    threads: 128,
    parameters: parameters.encode({
      ...table.planes,
      rows: step,
      y: y.address,
      K: table.columns,
      pitch: table.pitch,
      y_stride: y.stride,
    }),
  };
}
