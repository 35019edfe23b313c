// The onnxruntime backend's conformance: what a backend's own test file looks like, but for what is left to `npm test
// -- --full`.

import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { full } from "@polyllama/test-support/full";
import { isLarge } from "../environments/selections.ts";
import expectations from "../expectations/onnxruntime.json" with { type: "json" };
import { conformance } from "../src/vitest.ts";

const layers = /^model:layer:model=llama-2-(7b|70b);format=q4_0/;

conformance(() => onnxruntime({ activations: "f32", threads: 2, cacheFolder: false }), {
  expectations,
  filter: (address) => full || layers.test(address) || !isLarge(address),
  slow: full,
});
