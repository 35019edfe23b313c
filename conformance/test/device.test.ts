// The devices that this package may import keep the rules of the contract; the others' tests say so for themselves.

import { onnxRuntimeDevice } from "@polyllama/backend-onnxruntime";
import { referenceDevice } from "@polyllama/backend-reference";
import { describe } from "vitest";
import { devices } from "../src/vitest.ts";

describe("reference", () => devices(() => referenceDevice()));
describe("onnxruntime", () => devices(() => onnxRuntimeDevice({ cacheFolder: false, threads: 2 })));
