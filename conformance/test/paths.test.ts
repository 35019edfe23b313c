// The paths of real use on the reference itself: what its caches, batches and forks give is what a text gives in one
// piece.

import { reference } from "@polyllama/backend-reference";
import { conformance } from "../src/vitest.ts";

conformance(() => reference(), {
  filter: (address) => /^path:(mixed:format=f32|inner|chunked:sequences=70)/.test(address),
});
