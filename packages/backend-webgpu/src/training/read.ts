// What lies in a buffer, on the host.

import { type Gpu, usage } from "../gpu.ts";
import type { View } from "./commands.ts";

/** A copy of a view, behind all that was submitted before. @throws {MemoryError} */
export async function readWords(gpu: Gpu, { buffer, offset, bytes }: View): Promise<ArrayBuffer> {
  const staging = await gpu.guard("a value that is read", () => {
    const made = gpu.buffer("staging of a value", bytes, usage.mapRead | usage.copyTarget);
    const encoder = gpu.device.createCommandEncoder({ label: "read" });
    encoder.copyBufferToBuffer(buffer, offset, made, 0, bytes);
    gpu.device.queue.submit([encoder.finish()]);
    return made;
  });
  try {
    await gpu.wait(staging.mapAsync(usage.mapRead));
    return staging.getMappedRange().slice(0, bytes);
  } finally {
    gpu.free(staging);
  }
}
