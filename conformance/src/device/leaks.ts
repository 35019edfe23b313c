// Whether anything is left alive on a device, by counting: the same must be alive behind a case as before it.

import { mustEqual } from "../must.ts";

/** Runs a case. @param live What is alive: buffers, handles, bytes. */
export async function withoutLeaks(live: () => unknown, run: () => Promise<void>): Promise<void> {
  const before = live();
  await run();
  mustEqual(live(), before, "alive behind the case and before it");
}
