// How fast the card's memory is when nothing is computed: copies from one place to another on the card, as its driver does them.
// Generating a token reads all weights once, so that this is what decoding is measured against.

import { checkNumber, checkOptions } from "@polyllama/core";
import { Gpu, type GpuOptions } from "./gpu.ts";

const copies = 16;

export interface CopyOptions extends Partial<GpuOptions> {
  /** How much is copied at once; default half a GiB, or a quarter of what is free. */
  readonly bytes?: number;
}

/**
 * Copies from one place on the card to another, several times.
 *
 * @returns bytes per second, read and written bytes both counted.
 * @throws {PolyllamaError} `ERR_UNSUPPORTED`, `ERR_BACKEND`, `ERR_MEMORY`
 */
export async function copyBandwidth(options: CopyOptions = {}): Promise<number> {
  checkOptions(options, ["device", "library", "images", "bytes"], "cuda.copyBandwidth()");
  checkNumber(options.bytes, "bytes", { least: 16, integer: true });
  const { bytes: given, ...card } = options;
  const gpu = new Gpu({ device: 0, ...card });
  try {
    return await gpu.exclusively(undefined, async () => {
      const bytes = given ?? Math.min(2 ** 29, Math.floor(gpu.driver.memoryInfo().free / 4));
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
