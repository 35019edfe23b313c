// What `npm run setup:system` installs, for tests that need it: where it is missing they are skipped with that command
// in their name, and in CI, where it must not be missing, they fail.

import { describe, test } from "vitest";
import { readSystem, type System } from "../../../scripts/system.mjs";
import { full } from "./full.ts";

export const system: System = readSystem();

const command = `npm run setup:system${full ? " -- --full" : ""}`;

/** `describe` for suites that need one of those things, or several. */
export function describeWithSystem(
  needed: keyof System | readonly (keyof System)[],
  name: string,
  define: () => void,
): void {
  const missing = [needed].flat().filter((part) => system[part] === undefined);
  if (missing.length === 0) describe(name, define);
  else if (process.env["CI"]) describe(name, () => test("what it needs is installed", () => refuse(missing)));
  else describe.skip(`${name} (NOT RUN: ${missing.join(" and ")} missing; ${command})`, define);
}

function refuse(missing: readonly string[]): never {
  const list = missing.join(" and ");
  throw new Error(`${list} missing; in CI the suites that need it must run. \`${command}\` installs it.`);
}
