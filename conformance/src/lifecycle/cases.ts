// What a backend does when runs are aborted, disposed, repeated or at once: rules of the contract that have nothing to
// do with numbers. Nothing here depends on how fast a device is: where one thing has to come before another, it needs
// nothing but turns of the microtask queue, and the other one does.

import { abortCases } from "./cases/abort.ts";
import type { LifecycleCase } from "./cases/case.ts";
import { concurrencyCases } from "./cases/concurrency.ts";
import { disposeCases } from "./cases/dispose.ts";
import { refusalCases } from "./cases/refusals.ts";
import { samplingCases } from "./cases/sampling.ts";

export type { LifecycleCase } from "./cases/case.ts";

export const lifecycleCases: readonly LifecycleCase[] = [
  ...abortCases,
  ...concurrencyCases,
  ...refusalCases,
  ...disposeCases,
  ...samplingCases,
];
