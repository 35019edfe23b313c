// A quantizing thread of pool.ts.

import { parentPort } from "node:worker_threads";
import { quantizeRows, type WritableFormat } from "@polyllama/formats";

/** What a thread is asked; it answers with the blocks. */
export interface QuantizeRequest {
  readonly values: Float32Array<ArrayBuffer>;
  readonly format: WritableFormat;
}

parentPort?.on("message", ({ values, format }: QuantizeRequest) => {
  const blocks = quantizeRows(values, format);
  parentPort?.postMessage(blocks, [blocks.buffer]);
});
