// What all steps of the offline bundle use.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const say = (text) => console.log(`bundle: ${text}`);
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

/** Runs a program to its end and returns its standard output. @throws with what it printed */
export function run(command, rest, { cwd = root, env = process.env, expected = 0, minutes = 10 } = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, rest, {
    cwd,
    env,
    encoding: "utf8",
    timeout: minutes * 60_000,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 28,
  });
  if (status === expected) return stdout;
  const reason = error?.message ?? `ended with ${status ?? signal} instead of ${expected}`;
  throw new Error(`${command} ${rest.join(" ")}: ${reason}\n${stdout ?? ""}${stderr ?? ""}`);
}

export const has = (program) => spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
export const manifest = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

/** All files of the bundle, sorted. */
export function filesIn(stage, below = "") {
  return readdirSync(join(stage, below), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(below, entry.name);
      return entry.isDirectory() ? filesIn(stage, path) : [path];
    })
    .sort();
}
