import { lifecycle } from "@polyllama/conformance/vitest";
import { cpu } from "../src/index.ts";

lifecycle(() => cpu({ cacheFolder: false }));
