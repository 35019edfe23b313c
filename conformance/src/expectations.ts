// Known failures of a backend, by address, each with its reason. They are no way to hide: a case that is expected to fail and
// passes is a failure, so that the list can only shrink.

import type { CaseResult } from "./case.ts";

/** Address, in which `*` stands for anything -> why the backend fails there, or refuses. */
export type Expectations = Readonly<Record<string, string>>;

/** A result in the light of what was expected. */
export type Verdict = "passed" | "failed" | "unsupported" | "absent" | "expected failure" | "unexpected pass";

/** The verdict on a result where some cases are expected to fail, by address or pattern: one that passes nevertheless is a finding, too. */
export function judge(
  result: CaseResult,
  expectations: Expectations,
): { readonly verdict: Verdict; readonly reason: string } {
  const reason = Object.entries(expectations).find(([pattern]) => matches(pattern, result.address))?.[1];
  if (reason === undefined) return { verdict: result.status, reason: result.detail };
  if (result.status === "passed") return { verdict: "unexpected pass", reason: `was expected to fail: ${reason}` };
  return { verdict: "expected failure", reason };
}

/** Expectations that no case has: of cases that were renamed, or never were. */
export function unmatched(expectations: Expectations, addresses: readonly string[]): readonly string[] {
  return Object.keys(expectations).filter((pattern) => !addresses.some((address) => matches(pattern, address)));
}

function matches(pattern: string, address: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(address);
}
