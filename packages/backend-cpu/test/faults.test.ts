// The faults that are planted in the C++ stay plantable; `npm run conformance:mutants -- --native` finds them.

import { expect, test } from "vitest";
import { faults } from "../scripts/faults/all.ts";
import { planted } from "../scripts/faults/fault.ts";

test.each(faults)("$id still applies", (fault) => {
  expect(planted(fault)).toContain(fault.replace);
});

test("each fault has a name of its own", () => {
  expect(new Set(faults.map(({ id }) => id)).size).toBe(faults.length);
});
