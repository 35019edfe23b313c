// `Llama` on the emulated card, which takes some 40 ms a token: in `npm test` what chooses tokens on the card, and one
// case of each kind of reading; everything in `npm test -- --full`.

import { llama } from "@polyllama/conformance/vitest";
import { full } from "@polyllama/test-support/full";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated } from "./support.ts";

const usual =
  /^(of 280 tokens, \{("temperature":0|"temperature":0.5,.*|"topK":9,.*)?\}|prompts around|forks|an answer is|text that is held)/;

await describeWithEmulation("cuda", (emulation) =>
  llama(() => cuda(emulated(emulation)), { filter: (name) => full || usual.test(name), timeout: 600_000 }),
);
