// The backends that this package may import keep the rules of the contract; the others' tests say so for themselves.

import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import { describe } from "vitest";
import { lifecycle } from "../src/vitest.ts";

describe("reference", () => lifecycle(() => reference()));
describe("cpu", () => lifecycle(() => cpu({ cacheFolder: false })));
