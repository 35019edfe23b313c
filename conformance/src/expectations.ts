// What is known of a backend, by address, each with its reason: what it does not support, and where it fails. They are
// no way to hide: a case that passes nevertheless is a finding, and so is one that fails where it was to be refused, so
// that the lists can only shrink.

import type { CaseResult } from "./case.ts";

/** Address, in which `*` stands for anything -> the reason. */
type Known = Readonly<Record<string, string>>;

/** What is known of a backend in an environment. */
export interface Expectations {
  /** What it cannot do, and says so. */
  readonly unsupported?: Known;
  /** Where it is wrong. */
  readonly failing?: Known;
}

/** A result in the light of what was expected. */
export type Verdict = CaseResult["status"] | "expected unsupported" | "expected failure" | "unexpected pass";

/** The verdict on a result where some cases are expected not to be supported or to fail, by address or pattern. */
export function judge(
  { address, status, detail }: CaseResult,
  { unsupported = {}, failing = {} }: Expectations,
): { readonly verdict: Verdict; readonly reason: string } {
  const refused = reasonFor(unsupported, address);
  const wrong = reasonFor(failing, address);
  if (status === "unsupported" && refused !== undefined) return { verdict: "expected unsupported", reason: refused };
  if (status === "failed" && wrong !== undefined) return { verdict: "expected failure", reason: wrong };
  if (status !== "passed") return { verdict: status, reason: detail };
  if (refused !== undefined) return { verdict: "unexpected pass", reason: `was not to be supported: ${refused}` };
  if (wrong !== undefined) return { verdict: "unexpected pass", reason: `was expected to fail: ${wrong}` };
  return { verdict: "passed", reason: "" };
}

/** Whether a verdict is as it should be. */
export function isAsExpected(verdict: Verdict): boolean {
  return ["passed", "absent", "expected unsupported", "expected failure"].includes(verdict);
}

/** Expectations that no case has: of cases that were renamed, or never were. */
export function unmatched(
  { unsupported = {}, failing = {} }: Expectations,
  addresses: readonly string[],
): readonly string[] {
  const patterns = [...Object.keys(unsupported), ...Object.keys(failing)];
  return patterns.filter((pattern) => !addresses.some((address) => matches(pattern, address)));
}

function reasonFor(known: Known, address: string): string | undefined {
  return Object.entries(known).find(([pattern]) => matches(pattern, address))?.[1];
}

function matches(pattern: string, address: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(address);
}
