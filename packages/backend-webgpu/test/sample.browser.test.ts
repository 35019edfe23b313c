// Tokens chosen by SwiftShader are those that core's sampler chooses.

import { logitTable, samplings } from "@polyllama/test-support/logits";
import { expect, test } from "vitest";
import { drawOnDevice, drawOnHost, V } from "./draws.ts";

const table = logitTable(V);
const some = samplings.filter(({ temperature, topP = 1 }) => temperature !== 0 && topP > 0.8 && topP < 0.999);

test.each(some)("200 draws equal those on the host: %o", async (setting) => {
  expect(await drawOnDevice(table, setting, 200)).toEqual(drawOnHost(table, setting, 200));
});
