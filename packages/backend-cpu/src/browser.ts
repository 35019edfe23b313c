// @polyllama/backend-cpu in a page, or in a worker of one: the same kernels in WebAssembly. Where the page is cross-origin
// isolated they run in workers of their own; elsewhere in whatever calls them, which should then be a worker
// (`polyllama/worker`), as a step keeps it busy.

import { checkOptions, type OptionSchema, option } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { cpuDevice } from "./device.ts";
import type { Activations } from "./modes.ts";
import { openWasmEngine, wasmMemory } from "./native/wasm-engine.ts";
import { wasmPage } from "./native/wasm-page.ts";

export { cpuPlans } from "./describe-plans.ts";

/** Options of `cpu()` in a page. */
export interface CpuOptions {
  /** Threads that compute, where the page is cross-origin isolated; default: as many as the browser names. */
  readonly threads?: number;
  /**
   * How quantized linears treat their input. `int8`, the default, rounds it to 8 bits per block of 32 and is several
   * times faster; `f32` does not.
   */
  readonly activations?: Activations;
}

const optionTypes: OptionSchema<CpuOptions> = {
  threads: option.integer({ least: 1, most: 256 }),
  activations: option.oneOf(["int8", "f32"]),
};

/** Memory that is left for what is not weights. */
const spareBytes = 256 << 20;

/**
 * The processor, by kernels in WebAssembly, which has 4 GiB of memory at most: larger models are refused before their
 * weights are fetched.
 *
 * @throws {PolyllamaError} `ERR_OPTION`
 */
export function cpu(options: CpuOptions = {}): Device {
  checkOptions(options, optionTypes, "cpu()");
  const { threads = navigator.hardwareConcurrency, activations = "int8" } = options;
  return cpuDevice(activations, {
    open: () => openWasmEngine({ threads }, wasmPage()),
    processor: () => "WebAssembly",
    mostWeightBytes: wasmMemory - spareBytes,
  });
}

/** Names of the instruction sets that there are in a page. */
export function instructionSets(): readonly string[] {
  return ["wasm"];
}
