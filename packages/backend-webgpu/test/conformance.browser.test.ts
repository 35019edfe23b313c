// The suite in Chromium, on SwiftShader: subgroups of 4, other treatment of subnormals and bounds than lavapipe. A subset that
// covers every kernel, those for GPUs too; `npm run conformance:webgpu` runs all.

import { webgpu } from "@polyllama/backend-webgpu";
import { conformance } from "@polyllama/conformance/vitest";
import { describe } from "vitest";
import { isLight } from "../../../conformance/environments/light.ts";

const smallModels = /^model:(nodes|end-to-end|paths|repetition|overflow):/;

/** The kernels for GPUs: single rows and tiles in every format, fused with their neighbours, and several sequences at once. */
const usesLinears =
  /^(op:linear:.*;n=(1|17);k=1024;|op:linear:.*;n=97;|chain:(norm-linear|linear-add|gate-up-swiglu):format=q4_0;|chain:norm-qkv|model:(nodes|paths):model=k-)/;

describe("kernels of the adapter", () => {
  conformance(() => webgpu(), { filter: (address) => smallModels.test(address) || isLight(address) });
});

describe("kernels for GPUs", () => {
  conformance(() => webgpu({ kernels: "hardware" }), { filter: (address) => usesLinears.test(address) });
});
