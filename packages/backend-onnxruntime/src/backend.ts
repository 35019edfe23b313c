// The onnxruntime backend under the first contract.

import type { DeviceBackend } from "@polyllama/core/device";
import { asBackend } from "@polyllama/planner";
import { deviceWith } from "./device.ts";
import { type OnnxRuntimeOptions, withDefaults } from "./options.ts";

/**
 * The onnxruntime backend.
 *
 * @throws {PolyllamaError} `ERR_OPTION`. Where ONNX Runtime is not installed `compile` and `describe` say so, not this.
 */
export function onnxruntime(options: OnnxRuntimeOptions = {}): DeviceBackend {
  return asBackend(deviceWith(withDefaults(options, "onnxruntime()")));
}
