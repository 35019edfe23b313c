// `Llama` on this backend, as its users know it.

import { llama } from "@polyllama/conformance/vitest";
import { describe } from "vitest";
import { cpu } from "../src/index.ts";

describe("cpu", () => llama(() => cpu({ threads: 2 })));
