// A rule of the contract that has nothing to do with numbers.

import type { Backend } from "@polyllama/core";

/** Throws when the rule is broken. The backend is its own; it may dispose it. */
export interface LifecycleCase {
  readonly name: string;
  /** Whether it is about choosing tokens on the device. */
  readonly samples?: true;
  run(backend: Backend): Promise<void>;
}
