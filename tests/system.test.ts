// The project "chromium" of vitest.config.ts exists only where a Chromium is installed; this says so where it is not.

import { describeWithSystem, system } from "@polyllama/test-support/system";
import { expect, test } from "vitest";

describeWithSystem("chromium", "suites in a page", () => {
  test("have a browser", () => expect(system.chromium?.version).toMatch(/\d/));
});
