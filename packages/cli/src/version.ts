// The version of this program.

import { readFileSync } from "node:fs";

export function version(): string {
  const { version }: { version?: unknown } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  return String(version);
}
