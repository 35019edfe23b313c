// Tokens chosen by SwiftShader are those that core's sampler chooses, at every setting.

import { expect, test } from "vitest";
import { drawOnDevice, drawOnHost, makeTable, settings } from "./draws.ts";

const table = makeTable();

test.each(settings)("300 draws equal those on the host: %o", async (setting) => {
  expect(await drawOnDevice(table, setting, 300)).toEqual(drawOnHost(table, setting, 300));
});
