// The WebGPU backend: the graph as WGSL kernels, in browsers and Deno on `navigator.gpu`, in Node on Dawn.

import { checkOptions, PolyllamaError } from "@polyllama/core";
import { openDevice } from "./adapter.ts";
import { WebGpuDevice } from "./device.ts";
import { optionTypes, type WebGpuOptions } from "./options.ts";

/**
 * A GPU, on a `GPUDevice` of its own unless one is given.
 *
 * @example const llama = await Llama.load(url, { backend: webgpu() });
 * @throws {PolyllamaError} `ERR_OPTION`; `ERR_BACKEND` where there is no WebGPU or no adapter, with the remedy.
 */
export async function webgpu(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
  checkOptions(options, optionTypes, "webgpu()");
  if (options.device !== undefined) {
    for (const name of ["adapter", "powerPreference", "gpu", "limits"] as const) {
      if (options[name] !== undefined)
        throw new PolyllamaError(
          "ERR_OPTION",
          `webgpu(): ${name} chooses a device, but device gives one; leave one of them out.`,
        );
    }
  }
  return new WebGpuDevice(options, await openDevice(options));
}
