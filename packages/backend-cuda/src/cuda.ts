// `cuda()`: the backend, and what looks at the card.

import { checkOptions } from "@polyllama/core";
import type { Device, DeviceBackend } from "@polyllama/core/device";
import { asBackend } from "@polyllama/planner";
import { CudaDevice } from "./device.ts";
import type { GpuOptions } from "./gpu.ts";
import { type CopyOptions, copyBandwidth, tensorPeak } from "./limits.ts";
import { type CudaOptions, cudaOptionTypes } from "./options.ts";
import { available, type CudaStatus } from "./status.ts";

function create(options: CudaOptions = {}): DeviceBackend {
  checkOptions(options, cudaOptionTypes, "cuda()");
  const device = new CudaDevice(options);
  return asBackend(device, { availableMemory: () => device.freeMemory });
}

/**
 * The card as a device: shared parameters, pools of KV blocks, and steps of many sequences.
 *
 * @throws {PolyllamaError} `ERR_OPTION`. Where there is no driver or card, what is done first with the device says so.
 */
export function cudaDevice(options: CudaOptions = {}): Device {
  checkOptions(options, cudaOptionTypes, "cudaDevice()");
  return new CudaDevice(options);
}

/** `cuda()` makes a backend; its functions look at the card. */
export interface Cuda {
  /**
   * The CUDA backend, for NVIDIA cards of compute capability 7.5 and later.
   *
   * @throws {PolyllamaError} `ERR_OPTION`. Where there is no driver or card `compile` and `describe` say so, not this.
   */
  (options?: CudaOptions): DeviceBackend;
  /** Looks for a driver and a card, loads nothing onto it, and says what is missing. */
  available(options?: CudaOptions): CudaStatus;
  /** How fast the card copies within its own memory, in bytes per second, read and written bytes both counted. */
  copyBandwidth(options?: CopyOptions): Promise<number>;
  /** How fast its tensor cores multiply bf16 by `mma.sync`, in floating point operations per second. */
  tensorPeak(options?: Partial<GpuOptions>): Promise<number>;
}

/**
 * The CUDA backend, for NVIDIA cards of compute capability 7.5 and later, and functions that look at the card; see
 * {@link Cuda}.
 */
export const cuda: Cuda = Object.assign(create, { available, copyBandwidth, tensorPeak });
