// The suite in a page, on the reference: the cases, the bounds and the reference itself need nothing of Node. The
// engine is that of Node, so that a sample does, without the widest gradients of logits, which take a page minutes.

import { reference } from "@polyllama/backend-reference";
import { isSample } from "../environments/selections.ts";
import { conformance } from "../src/vitest.ts";

const isWide = (address: string): boolean => /^op:logProbability(Grad)?:v=(5003|8501);/.test(address);

conformance(() => reference(), { filter: (address) => isSample(address) && !isWide(address) });
