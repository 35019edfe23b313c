// Cases of training on the processor's three threads, which share the work otherwise than two do: single operations, and a
// batch in parts. Faults that are planted in training are asked by these.

import { cpu } from "@polyllama/backend-cpu";
import { conformanceCases } from "../src/index.ts";
import { conformance } from "../src/vitest.ts";

const training = new Set(conformanceCases().flatMap(({ address, training = false }) => (training ? [address] : [])));

conformance(() => cpu({ activations: "f32", threads: 3 }), {
  filter: (address) => training.has(address) && /^op:|model=accumulated/.test(address),
  everyPath: true,
});
