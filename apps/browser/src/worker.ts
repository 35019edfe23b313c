// The worker chooses the backend; the page only talks to it.

import { webgpu } from "@polyllama/backend-webgpu";
import { serveLlama } from "polyllama/worker";

// The worker's name says whether the device is left at the limits that WebGPU guarantees everywhere.
serveLlama(() => webgpu({ limits: self.name === "default" ? "default" : "adapter" }));
