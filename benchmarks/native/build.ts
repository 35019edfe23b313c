// Small native programs of the benchmarks, compiled at their first use where there is a compiler. Nothing of them is
// shipped.

import { spawnSync } from "node:child_process";
import { mkdir, rename, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The program of `NAME.cpp` in this folder; undefined where there is no g++, or where a library is missing.
 *
 * @throws {Error} when it does not compile though all is there
 */
export async function buildNative(name: string, libraries: readonly string[] = []): Promise<string | undefined> {
  const source = fileURLToPath(new URL(`./${name}.cpp`, import.meta.url));
  if (spawnSync("g++", ["--version"]).status !== 0) return undefined;
  const linked = libraries.map((library) => `-l${library}`);
  const probe = spawnSync("g++", ["-x", "c++", "-", "-o", "/dev/null", ...linked], { input: "int main() {}" });
  if (probe.status !== 0) return undefined;
  const folder = join(tmpdir(), "polyllama-bench");
  await mkdir(folder, { recursive: true });
  const program = join(folder, name);
  const changed = async (file: string) => (await stat(file).catch(() => undefined))?.mtimeMs ?? 0;
  if ((await changed(program)) > (await changed(source))) return program;
  const made = `${program}.${process.pid}`;
  const options = ["-std=c++17", "-O3", "-pthread", source, "-o", made, ...linked];
  const { status, stderr } = spawnSync("g++", options, { encoding: "utf8" });
  if (status !== 0) throw new Error(`g++ ${options.join(" ")} failed:\n${stderr}`);
  await rename(made, program);
  return program;
}

/** What a program prints, given arguments and more of an environment. @throws {Error} when it fails */
export function runNative(program: string, given: readonly string[], more: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(program, given, { encoding: "utf8", env: { ...process.env, ...more } });
  if (status !== 0) throw new Error(`${program} ${given.join(" ")} failed:\n${stderr}`);
  return stdout;
}
