// A device under the first contract, which compiles a graph together with its weights. Whoever takes a device takes either.

import type { Backend } from "../backend.ts";
import type { Device } from "./device.ts";

/** A backend of the first contract, and the device that it stands for. Disposing either disposes both. */
export interface DeviceBackend extends Backend {
  readonly device: Device;
}

/** What computes: a device, or what stands for one. */
export type DeviceOption = Device | { readonly device: Device };

/** The device that was given. */
export function deviceOf(given: DeviceOption): Device {
  return "loadParameters" in given ? given : given.device;
}
