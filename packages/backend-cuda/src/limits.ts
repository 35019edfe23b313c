// What a card can do at most, to measure models against. Memory when nothing is computed: copies from one place to
// another on the card, as its driver does them; generating a token reads all weights once. Tensor cores when nothing is
// read (kernels/tensor_peak.cu); reading a prompt is nearly all matrix products.

import { checkOptions, option, PolyllamaError } from "@polyllama/core";
import { deviceAttribute } from "./driver/api.ts";
import { Gpu, type GpuOptions, gpuOptionTypes } from "./gpu.ts";
import { sumsPerWarp, tensorPeakLaunch, warpsPerBlock } from "./kernels/tensor_peak.ts";

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
  checkOptions(options, { ...gpuOptionTypes, bytes: option.integer({ least: 16 }) }, "cuda.copyBandwidth()");
  const { bytes: given, ...card } = options;
  const gpu = new Gpu({ device: 0, ...card });
  try {
    const bytes = given ?? Math.min(2 ** 29, Math.floor(gpu.driver.memoryInfo().free / 4));
    using from = gpu.allocate(bytes, "what is copied");
    using to = gpu.allocate(bytes, "the copy");
    const copyAll = async (): Promise<number> => {
      const started = performance.now();
      for (let i = 0; i < copies; i++) gpu.copyOnDevice(to.address, from.address, bytes);
      await gpu.finished();
      return (2 * copies * bytes * 1000) / (performance.now() - started);
    };
    await copyAll();
    return Math.max(await copyAll(), await copyAll());
  } finally {
    gpu.dispose();
  }
}

/** Of a product of 16 by 8 by 16: a multiplication and an addition each. */
const productOperations = 2 * 16 * 8 * 16;

/**
 * Multiplies matrices of bf16 that stand in registers, by the instructions that reading a prompt uses.
 *
 * @returns floating point operations per second.
 * @throws {PolyllamaError} `ERR_UNSUPPORTED`, `ERR_BACKEND`
 */
export async function tensorPeak(options: Partial<GpuOptions> = {}): Promise<number> {
  checkOptions(options, gpuOptionTypes, "cuda.tensorPeak()");
  const gpu = new Gpu({ device: 0, ...options });
  try {
    if (gpu.capability < 80) {
      throw new PolyllamaError(
        "ERR_UNSUPPORTED",
        `${gpu.name} has no tensor cores for bf16; 8.0 is the least for that.`,
      );
    }
    const blocks = 2 * gpu.driver.deviceAttribute(gpu.device, deviceAttribute.multiprocessors);
    using y = gpu.allocate(4 * 32 * warpsPerBlock * blocks, "products");
    /** Seconds. */
    const multiply = async (rounds: number): Promise<number> => {
      const started = performance.now();
      gpu.launch(tensorPeakLaunch(blocks, rounds, y.address));
      await gpu.finished();
      return (performance.now() - started) / 1000;
    };
    // As many rounds as take long enough that launching them does not matter.
    let rounds = 4;
    while ((await multiply(rounds)) < 0.02) rounds *= 2;
    const seconds = Math.min(await multiply(rounds), await multiply(rounds));
    return (productOperations * sumsPerWarp * warpsPerBlock * blocks * rounds) / seconds;
  } finally {
    gpu.dispose();
  }
}
