// What several test files share.

import { readSystem } from "../../../scripts/system.mjs";

/** Whether there is a Vulkan driver to run on; without one the suites here are listed as not run. */
export const hasAdapter: boolean = readSystem().vulkan !== undefined || process.platform !== "linux";

export const notRun = "WebGPU (not run: no Vulkan driver; npm run setup:system)";
