// What `webgpu()` takes.

import { type OptionSchema, option } from "@polyllama/core";
import type { KernelFamily, LoweredLimits } from "./gpu.ts";

/** Options of `webgpu()`. */
export interface WebGpuOptions {
  /** A device of your own, which stays yours: it is never destroyed here. It excludes the options that choose one. */
  readonly device?: GPUDevice;
  /** An adapter of your own choice. */
  readonly adapter?: GPUAdapter;
  /** Which adapter to ask for; default: what the browser or driver prefers. */
  readonly powerPreference?: GPUPowerPreference;
  /** What to use instead of `navigator.gpu`, such as Dawn's `create([])`. */
  readonly gpu?: GPU;
  /** Features to leave alone though the adapter has them; true by default. There is no f16: kernels compute in f32. */
  readonly features?: { readonly subgroups?: boolean };
  /** Buffers as large as the adapter allows, the default, or only what WebGPU guarantees everywhere. */
  readonly limits?: "default" | "adapter";
  /**
   * Bytes that everything on the device may take: weights, caches and scratch. WebGPU itself does not say how much
   * there is; with this, what does not fit is refused before anything is loaded. Default: until the device refuses.
   */
  readonly memory?: number;
  /** Kernels made for software adapters or for GPUs; default: what the adapter is. */
  readonly kernels?: KernelFamily;
  /** Limits below the device's, for tests: small models are then split as large ones are. */
  readonly loweredLimits?: LoweredLimits;
}

export const optionTypes: OptionSchema<WebGpuOptions> = {
  device: option.having(["createBuffer", "destroy"], "a GPUDevice"),
  adapter: option.having(["requestDevice"], "a GPUAdapter"),
  powerPreference: option.oneOf(["low-power", "high-performance"]),
  gpu: option.having(["requestAdapter"], "a GPU, such as navigator.gpu"),
  features: option.object<NonNullable<WebGpuOptions["features"]>>({ subgroups: option.boolean }),
  limits: option.oneOf(["default", "adapter"]),
  memory: option.number({ least: 1 }),
  kernels: option.oneOf(["software", "hardware"]),
  loweredLimits: option.object<LoweredLimits>({
    maxStorageBufferBindingSize: option.integer({ least: 1024 }),
    maxBufferSize: option.integer({ least: 1024 }),
    submissionWork: option.integer({ least: 1 }),
  }),
};
