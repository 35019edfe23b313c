// `Llama` on the backends that this package may import; the others' tests say so for themselves.

import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { describe } from "vitest";
import { llama } from "../src/vitest.ts";

describe("reference", () => llama(() => reference()));
describe("onnxruntime", () => llama(() => onnxruntime({ cacheFolder: false })));
