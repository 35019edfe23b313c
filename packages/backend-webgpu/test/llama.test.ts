import { llama } from "@polyllama/conformance/vitest";
import { webgpu } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

describeWithAdapter("webgpu", () => llama(() => webgpu()));
