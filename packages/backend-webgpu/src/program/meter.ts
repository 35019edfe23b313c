// Where submissions are timed and counted, for benchmarks.

import type { Profile } from "../profile.ts";

export interface Meter {
  profile: Profile | undefined;
  /** Dispatches so far. */
  dispatched: number;
}
