// What `npm run setup:system` installs, for tests that need it: where it is missing they are skipped with that command in
// their name, and in CI, where it must not be missing, they fail.

import { describe, test } from "vitest";
import { readSystem, type System } from "../../scripts/system.mjs";

export const system: System = readSystem();

/** `describe` for suites that need one of those things. */
export function describeWithSystem(part: keyof System, name: string, define: () => void): void {
  if (system[part] !== undefined) describe(name, define);
  else if (process.env["CI"]) describe(name, () => test(`${part} is installed`, () => missing(part)));
  else describe.skip(`${name} (NOT RUN: ${part} is missing; npm run setup:system)`, define);
}

function missing(part: string): never {
  throw new Error(`${part} is missing; in CI the suites that need it must run. \`npm run setup:system\` installs it.`);
}
