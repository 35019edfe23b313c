// Rules that a case states. A case throws where one is broken, so that cases run with and without a test runner.

import { type ErrorCode, PolyllamaError } from "@polyllama/core";

export function must(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Error(rule);
}

export function mustEqual(a: unknown, b: unknown, rule: string): void {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  if (left !== right) throw new Error(`${rule}: ${left.slice(0, 200)} and ${right.slice(0, 200)}`);
}

/** The code that an action is refused with. */
export async function mustThrow(
  code: ErrorCode | readonly ErrorCode[],
  action: () => unknown,
  rule: string,
): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof PolyllamaError && [code].flat().includes(error.code)) return;
    throw new Error(`${rule}: ${String(error)}`, { cause: error });
  }
  throw new Error(`${rule}: nothing was thrown`);
}
