// The WebGPU backend: the graph as WGSL kernels, in browsers and Deno on `navigator.gpu`, in Node on Dawn.

import { checkOptions, PolyllamaError } from "@polyllama/core";
import type { DeviceBackend } from "@polyllama/core/device";
import { asBackend } from "@polyllama/planner";
import { openDevice } from "./adapter.ts";
import { WebGpuDevice } from "./device.ts";
import { optionTypes, type WebGpuOptions } from "./options.ts";

/** What `webgpu()` gives. */
export interface WebGpuBackend extends DeviceBackend {
  readonly device: WebGpuDevice;
}

/**
 * The WebGPU backend, on a device of its own unless one is given.
 *
 * @example const llama = await Llama.load(url, { backend: webgpu() });
 * @throws {PolyllamaError} `ERR_OPTION`; `ERR_BACKEND` where there is no WebGPU or no adapter, with the remedy.
 */
export async function webgpu(options: WebGpuOptions = {}): Promise<WebGpuBackend> {
  const device = await open(options, "webgpu()");
  const availableMemory = (): number | undefined => device.availableMemory;
  return asBackend(device, { availableMemory });
}

/**
 * A GPU as a device: shared parameters, pools of KV blocks, and steps of many sequences.
 *
 * @throws {PolyllamaError} `ERR_OPTION`; `ERR_BACKEND` where there is no WebGPU or no adapter, with the remedy.
 */
export async function webgpuDevice(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
  return open(options, "webgpuDevice()");
}

async function open(options: WebGpuOptions, call: string): Promise<WebGpuDevice> {
  checkOptions(options, optionTypes, call);
  if (options.device !== undefined) {
    for (const name of ["adapter", "powerPreference", "gpu", "limits"] as const) {
      if (options[name] !== undefined)
        throw new PolyllamaError("ERR_OPTION", `${name} chooses a device, but one was given; leave one of them out.`);
    }
  }
  return new WebGpuDevice(options, await openDevice(options));
}
