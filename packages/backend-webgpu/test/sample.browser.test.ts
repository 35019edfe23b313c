// Tokens chosen by SwiftShader are those that core's sampler chooses.

import { expect, test } from "vitest";
import { drawOnDevice, drawOnHost, makeTable, settings } from "./draws.ts";

const table = makeTable();
const some = settings.filter(({ temperature, topP = 1 }) => temperature !== 0 && topP > 0.8 && topP < 0.999);

test.each(some)("200 draws equal those on the host: %o", async (setting) => {
  expect(await drawOnDevice(table, setting, 200)).toEqual(drawOnHost(table, setting, 200));
});
