// The conformance suite on the kernels in WebAssembly, with one thread and with several: a sample of it, and all in
// `npm test -- --full`.

import { isSample } from "@polyllama/conformance/selections";
import { conformance } from "@polyllama/conformance/vitest";
import { full } from "@polyllama/test-support/full";
import { describe } from "vitest";
import { cpuDevice } from "../src/device.ts";
import { openWasmEngine, wasmMemory } from "../src/native/wasm-engine.ts";
import { wasmNode } from "../src/native/wasm-node.ts";

for (const threads of [1, 2]) {
  for (const activations of ["f32", "int8"] as const) {
    describe(`wasm, ${threads} ${threads === 1 ? "thread" : "threads"}, ${activations}`, () => {
      const make = () =>
        cpuDevice(activations, {
          open: () => openWasmEngine({ threads }, wasmNode),
          processor: () => "WebAssembly",
          totalMemory: () => wasmMemory,
        });
      conformance(make, {
        filter: (address) => full || isSample(address),
        slow: full,
      });
    });
  }
}
