// The suite in a page, on the reference: the cases, the bounds and the reference itself need nothing of Node.

import { reference } from "@polyllama/backend-reference";
import { isLight } from "../environments/light.ts";
import { conformance } from "../src/vitest.ts";

conformance(() => reference(), { filter: isLight });
