// What the benchmarks that compare with other engines share.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Installs the other engines beside the benchmarks, unless the one that is needed is there. */
export function installEngines(needed = "node-llama-cpp"): void {
  const here = fileURLToPath(new URL(".", import.meta.url));
  if (existsSync(join(here, "node_modules", needed))) return;
  console.error(`Installing ${needed} for the comparison ...`);
  const { status } = spawnSync("npm", ["install", "--no-save", "--loglevel=error"], { cwd: here, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
