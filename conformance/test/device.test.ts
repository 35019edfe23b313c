// The devices that this package may import keep the rules of the contract; the others' tests say so for themselves.

import { referenceDevice } from "@polyllama/backend-reference";
import { describe } from "vitest";
import { devices } from "../src/vitest.ts";

describe("reference", () => devices(() => referenceDevice()));
