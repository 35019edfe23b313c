// Where packed weights are kept when nobody says where: in the user's folder for caches, as each system has it.

import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { environment } from "@polyllama/core";

/** Where packed weights are kept by default; undefined where the user has no home folder. */
export function defaultCacheFolder(): string | undefined {
  try {
    switch (process.platform) {
      case "darwin":
        return join(homedir(), "Library", "Caches", "polyllama");
      case "win32":
        return join(environment("LOCALAPPDATA") ?? join(homedir(), "AppData", "Local"), "polyllama", "cache");
      default: {
        const given = environment("XDG_CACHE_HOME");
        // A relative path counts as none, as the XDG Base Directory Specification has it.
        return join(given !== undefined && isAbsolute(given) ? given : join(homedir(), ".cache"), "polyllama");
      }
    }
  } catch {
    return undefined;
  }
}
