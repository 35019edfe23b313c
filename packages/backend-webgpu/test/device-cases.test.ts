// What a device keeps of the contract beside numbers: shared blocks, steps in flight, tokens chosen on it, shared parameters.

import { devices } from "@polyllama/conformance/vitest";
import { webgpuDevice } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

describeWithAdapter("webgpu", () => devices(() => webgpuDevice(), { timeout: 300_000 }));
