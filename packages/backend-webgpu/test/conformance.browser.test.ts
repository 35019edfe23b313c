// The suite in Chromium, on SwiftShader: subgroups of 4, other treatment of subnormals and bounds than lavapipe. A
// subset that covers every kernel, those for GPUs too; `npm run conformance:webgpu` runs all.

import { webgpu } from "@polyllama/backend-webgpu";
import { isSample } from "@polyllama/conformance/selections";
import { conformance } from "@polyllama/conformance/vitest";
import { describe } from "vitest";

// Models in k-quants take SwiftShader half a minute each, beside whose operations they show nothing new.
const smallModels = /^model:(nodes:model=(?!k-)|(end-to-end|paths|repetition|overflow):model=(grouped|small-heads))/;

/**
 * The kernels for GPUs: single rows and tiles in a format of each kind, fused with their neighbours, and several
 * sequences at once. SwiftShader takes seconds to compile those of one format.
 */
const usesLinears =
  /^(op:linear:format=(f32|f16|q4_0|q6_k);(n=(1|17);k=1024;|n=97;)|chain:(norm-linear|linear-add|gate-up-swiglu):format=q4_0;|chain:norm-qkv|model:nodes:model=k-|model:paths:model=grouped)/;

describe("kernels of the adapter", () => {
  conformance(() => webgpu(), {
    filter: (address) => smallModels.test(address) || isSample(address),
    expectations: { unsupported: { "op:attention:*;cache=q8_0": "its caches are in f32, f16 or bf16" } },
  });
});

describe("kernels for GPUs", () => {
  conformance(() => webgpu({ kernels: "hardware" }), { filter: (address) => usesLinears.test(address) });
});
