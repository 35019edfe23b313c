// How fast the card's memory is when nothing is computed: copies from one place to another on the card, as its driver does them.
// Generating a token reads all weights once, so that this is what decoding is measured against.

import { checkOptions } from "@polyllama/core";
import { Gpu, type GpuOptions } from "./gpu.ts";

const copies = 16;

/**
 * Copies half a GiB, or as much as a quarter of what is free, back and forth.
 *
 * @returns bytes per second, read and written bytes both counted.
 * @throws {PolyllamaError} `ERR_UNSUPPORTED`, `ERR_BACKEND`, `ERR_MEMORY`
 */
export async function copyBandwidth(options: Partial<GpuOptions> = {}): Promise<number> {
  checkOptions(options, ["device", "library", "images"], "cuda.copyBandwidth()");
  const gpu = new Gpu({ device: 0, ...options });
  try {
    return await gpu.exclusively(undefined, async () => {
      const bytes = Math.min(2 ** 29, Math.floor(gpu.driver.memoryInfo().free / 4));
      using from = gpu.allocate(bytes);
      using to = gpu.allocate(bytes);
      const copyAll = async (): Promise<number> => {
        const started = performance.now();
        for (let i = 0; i < copies; i++) gpu.copyOnDevice(to.address, from.address, bytes);
        await gpu.finished();
        return (2 * copies * bytes * 1000) / (performance.now() - started);
      };
      await copyAll();
      return Math.max(await copyAll(), await copyAll());
    });
  } finally {
    gpu.dispose();
  }
}
