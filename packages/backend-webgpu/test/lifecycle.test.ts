import { lifecycle } from "@polyllama/conformance/vitest";
import { webgpu } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

describeWithAdapter("webgpu", () => lifecycle(() => webgpu(), { live: ({ device }) => device.live }));
