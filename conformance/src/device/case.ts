// What a case of the contract is.

import type { Device } from "@polyllama/core/device";

export interface DeviceCase {
  readonly name: string;
  /** What a device without this may leave out, in words; absent: every device has it. */
  readonly needs?: (device: Device) => string | undefined;
  /** Throws when a rule is broken. The device is its own; it may dispose it. */
  run(device: Device): Promise<void>;
}
