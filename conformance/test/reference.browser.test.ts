// The suite in a page, on the reference: the cases, the bounds and the reference itself need nothing of Node. The
// engine is that of Node, so that a sample does.

import { reference } from "@polyllama/backend-reference";
import { isSample } from "../environments/selections.ts";
import { conformance } from "../src/vitest.ts";

conformance(() => reference(), { filter: isSample });
