// The devices that this package may import keep the rules of the contract; the others' tests say so for themselves.

import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { describe } from "vitest";
import { devices } from "../src/vitest.ts";

describe("reference", () => devices(() => reference()));
describe("onnxruntime", () => devices(() => onnxruntime({ cacheFolder: false, threads: 2 })));
