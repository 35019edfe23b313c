// Launches of embedding_grad.cu.

import { struct, u32, u64 } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceRows, KernelStructs, Launch } from "../launch.ts";

const linkParameters = struct({ rows: u64, links: u64, count: u32 });
const parameters = struct({
  rows: u64,
  links: u64,
  cotangent: u64,
  y: u64,
  count: u32,
  table_rows: u32,
  width: u32,
  cotangent_stride: u32,
  y_stride: u32,
});
export const structs: KernelStructs = { LinkParameters: linkParameters, Parameters: parameters };

/** Words that the links of a row take. */
export const linkWords = 2;

/** Links rows with the same token. @param links u32 [N, 2] */
export function tokenLinks(rows: number, step: Handle, links: Handle): Launch {
  return {
    image: "embedding_grad",
    kernel: "token_links",
    grid: [Math.ceil(rows / 128), 1, 1],
    threads: 128,
    parameters: linkParameters.encode({ rows: step, links, count: rows }),
  };
}

/** Adds the cotangents [N, D] to the rows of a table's gradient [V, D] that have their tokens. */
export function embeddingGrad(
  rows: number,
  step: Handle,
  links: Handle,
  cotangent: DeviceRows,
  y: { readonly address: Handle; readonly rows: number; readonly stride: number },
): Launch {
  return {
    image: "embedding_grad",
    kernel: "embedding_grad",
    grid: [Math.ceil(cotangent.width / 128), rows, 1],
    threads: 128,
    parameters: parameters.encode({
      rows: step,
      links,
      cotangent: cotangent.address,
      y: y.address,
      count: rows,
      table_rows: y.rows,
      width: cotangent.width,
      cotangent_stride: cotangent.stride,
      y_stride: y.stride,
    }),
  };
}
