// @polyllama/backend-cpu: the old name of @polyllama/backend-onnxruntime. Programs that import it go on to work and are
// told once where it went; a backend with CPU kernels of its own will come under this name.

import { type OnnxRuntimeOptions, onnxruntime } from "@polyllama/backend-onnxruntime";
import type { Device } from "@polyllama/core/device";

export type { OnnxRuntimeStatus, PackedWeightsReason } from "@polyllama/backend-onnxruntime";
export { defaultCacheFolder, onnxRuntimeStatus, PackedWeightsError } from "@polyllama/backend-onnxruntime";

/** Options of `cpu()`: those of `onnxruntime()`. */
export type CpuOptions = OnnxRuntimeOptions;

const notice =
  "The ONNX Runtime backend moved: import { onnxruntime } from @polyllama/backend-onnxruntime in place of cpu() from " +
  "@polyllama/backend-cpu, where a CPU backend of its own will come.";
let noticed = false;

/**
 * The ONNX Runtime backend under its old name, with a warning of the process at the first call.
 *
 * @throws {PolyllamaError} `ERR_OPTION`, as `onnxruntime()` does.
 */
export function cpu(options: CpuOptions = {}): Device {
  if (!noticed) process.emitWarning(notice);
  noticed = true;
  return onnxruntime(options);
}
