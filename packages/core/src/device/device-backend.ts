// A device under the first contract, which compiles a graph together with its weights. What a user gives to `Llama.load` may be either.

import type { Backend } from "../backend.ts";
import type { Device } from "./device.ts";

/** A backend of the first contract, and the device that it stands for. Disposing either disposes both. */
export interface DeviceBackend extends Backend {
  readonly device: Device;
}
