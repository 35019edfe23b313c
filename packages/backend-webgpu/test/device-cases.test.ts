// What a device keeps of the contract beside numbers: shared blocks, steps in flight, tokens chosen on it, aborts,
// ends, leaks.

import { devices } from "@polyllama/conformance/vitest";
import { webgpu } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

describeWithAdapter("webgpu", () => devices(() => webgpu(), { live: ({ live }) => live, timeout: 300_000 }));
