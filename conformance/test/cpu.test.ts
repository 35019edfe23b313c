// The cpu backend's conformance: what a backend's own test file looks like.

import { cpu } from "@polyllama/backend-cpu";
import { full } from "../../tests/support/full.ts";
import expectations from "../expectations/cpu.json" with { type: "json" };
import { conformance } from "../src/vitest.ts";

conformance(() => cpu({ activations: "f32", threads: 2, cacheFolder: false }), { expectations, slow: full });
