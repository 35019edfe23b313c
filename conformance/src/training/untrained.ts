// What cases of training find on a device that does not train; that it says so is a rule of devices.

import type { Unsupported } from "../support.ts";

export const untrained: Unsupported = { status: "absent", reason: "it does not train" };
