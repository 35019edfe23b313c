// The onnxruntime backend under the first contract.

import type { Backend } from "@polyllama/core";
import { asBackend } from "@polyllama/planner";
import { OnnxRuntimeDevice } from "./device.ts";
import { type OnnxRuntimeOptions, withDefaults } from "./options.ts";

/**
 * The onnxruntime backend.
 *
 * @throws {PolyllamaError} `ERR_OPTION`. Where ONNX Runtime is not installed `compile` and `describe` say so, not this.
 */
export function onnxruntime(options: OnnxRuntimeOptions = {}): Backend {
  const device = new OnnxRuntimeDevice(withDefaults(options, "onnxruntime()"));
  return asBackend(device, { stepsAhead: 1 }); // a token is chosen on the host, before the next step can begin
}
