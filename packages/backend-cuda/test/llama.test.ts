import { llama } from "@polyllama/conformance/vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated } from "./support.ts";

await describeWithEmulation("cuda", (emulation) => llama(() => cuda(emulated(emulation))));
