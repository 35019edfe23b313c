// The project "chromium" of vitest.config.ts exists only where a Chromium is installed; this says so where it is not.

import { expect, test } from "vitest";
import { describeWithSystem, system } from "./support/system.ts";

describeWithSystem("chromium", "suites in a page", () => {
  test("have a browser", () => expect(system.chromium?.version).toMatch(/\d/));
});
