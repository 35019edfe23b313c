// `cuda()`: the card as a device, and what looks at the card.

import { checkOptions } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { cudaDevice } from "./device.ts";
import type { GpuOptions } from "./gpu.ts";
import { type CopyOptions, copyBandwidth, tensorPeak } from "./limits.ts";
import { type CudaOptions, cudaOptionTypes } from "./options.ts";
import { available, type CudaStatus } from "./status.ts";

function create(options: CudaOptions = {}): Device {
  checkOptions(options, cudaOptionTypes, "cuda()");
  return cudaDevice(options);
}

/** `cuda()` gives a card; its functions look at it. */
export interface Cuda {
  /**
   * An NVIDIA card of compute capability 7.5 or later.
   *
   * @throws {PolyllamaError} `ERR_OPTION`. Where there is no driver or card, what is done first with the device says
   * so.
   */
  (options?: CudaOptions): Device;
  /** Looks for a driver and a card, loads nothing onto it, and says what is missing. */
  available(options?: CudaOptions): CudaStatus;
  /** How fast the card copies within its own memory, in bytes per second, read and written bytes both counted. */
  copyBandwidth(options?: CopyOptions): Promise<number>;
  /** How fast its tensor cores multiply bf16 by `mma.sync`, in floating point operations per second. */
  tensorPeak(options?: Partial<GpuOptions>): Promise<number>;
}

/** NVIDIA cards of compute capability 7.5 and later, and functions that look at them; see {@link Cuda}. */
export const cuda: Cuda = Object.assign(create, { available, copyBandwidth, tensorPeak });
