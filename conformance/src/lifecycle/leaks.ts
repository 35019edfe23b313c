// Whether anything is left alive on the device, by counting: the same must be alive behind a case as before it.

import type { Backend } from "@polyllama/core";
import { mustEqual } from "../must.ts";

/** Runs a case on a backend of its own. @param live What of the backend is alive: buffers, handles, bytes. */
export async function withoutLeaks<Own extends Backend>(
  backend: Own,
  live: (backend: Own) => unknown,
  run: (backend: Own) => Promise<void>,
): Promise<void> {
  const before = live(backend);
  await run(backend);
  mustEqual(live(backend), before, "alive behind the case and before it");
}
