import { lifecycle } from "@polyllama/conformance/vitest";
import { reference } from "../src/index.ts";

lifecycle(() => reference());
