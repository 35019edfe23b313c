// The suite in a page, on the kernels in WebAssembly, in the page's own thread (pages of tests are not cross-origin
// isolated): a sample of it, and all in `npm test -- --full`.

import { isSample } from "@polyllama/conformance/selections";
import { conformance } from "@polyllama/conformance/vitest";
import { full } from "@polyllama/test-support/shared-page";
import { describe } from "vitest";
import { cpu } from "../src/browser.ts";

for (const activations of ["f32", "int8"] as const) {
  describe(`wasm, ${activations}`, () => {
    conformance(() => cpu({ activations, threads: 2 }), {
      filter: (address) => full || isSample(address),
      slow: full,
    });
  });
}
