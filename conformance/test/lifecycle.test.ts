// The backends that this package may import keep the rules of the contract; the others' tests say so for themselves.

import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { describe } from "vitest";
import { lifecycle } from "../src/vitest.ts";

describe("reference", () => lifecycle(() => reference()));
describe("onnxruntime", () => lifecycle(() => onnxruntime({ cacheFolder: false })));
