// Development data (real weights, tokenizers, corpora) that stands beside the project on its developers' machines and
// in CI. Tests that need it are skipped visibly where it is missing, and fail in CI, where it must not be.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";

const folder: string = fileURLToPath(new URL("../../../../shared/data/", import.meta.url));
export const present: boolean = existsSync(folder);

/** Path of a file of the development data. */
export function shared(path: string): string {
  return folder + path;
}

/** `describe` for suites that need the development data; what it defines may read it at once. */
export function describeWithShared(name: string, define: () => void): void {
  if (present) describe(name, define);
  else if (process.env["CI"]) {
    test(`${name}: development data is present`, () => {
      throw new Error(`${folder} is missing; in CI the suites that need it must run.`);
    });
  } else test.skip(`${name} (needs the development data)`, () => undefined);
}
