// Where packed weights are kept when nobody says where.

import { homedir } from "node:os";
import { join } from "node:path";

/** Where packed weights are kept by default. Computed from the home folder alone. */
export function defaultCacheFolder(): string {
  const home = homedir();
  if (process.platform === "darwin") return join(home, "Library", "Caches", "polyllama");
  if (process.platform === "win32") return join(home, "AppData", "Local", "polyllama", "cache");
  return join(home, ".cache", "polyllama");
}
