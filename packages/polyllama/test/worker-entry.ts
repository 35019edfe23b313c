// The worker of worker.browser.test.ts.

import { reference } from "@polyllama/backend-reference";
import { serveLlama } from "../src/worker.ts";

serveLlama(() => reference());
