// Known failures of a backend, by address, each with its reason. They are no way to hide: a case that is expected to fail and
// passes is a failure, so that the list can only shrink.

import type { CaseResult } from "./case.ts";

/** Address or, ending in `*`, the beginning of addresses -> why the backend fails there. */
export type Expectations = Readonly<Record<string, string>>;

/** A result in the light of what was expected. */
export type Verdict = "passed" | "failed" | "unsupported" | "expected failure" | "unexpected pass";

export function judge(
  result: CaseResult,
  expectations: Expectations,
): { readonly verdict: Verdict; readonly reason: string } {
  const reason = Object.entries(expectations).find(([pattern]) =>
    pattern.endsWith("*") ? result.address.startsWith(pattern.slice(0, -1)) : pattern === result.address,
  )?.[1];
  if (reason === undefined) return { verdict: result.status, reason: result.detail };
  if (result.status === "passed") return { verdict: "unexpected pass", reason: `was expected to fail: ${reason}` };
  return { verdict: "expected failure", reason };
}
