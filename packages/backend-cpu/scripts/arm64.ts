// `npm run arm64:cpu`: the programs of native/test, compiled for arm64 and run by QEMU, in every instruction set of that
// target. Names of sets may follow. Skipped, and said so, where there is no clang, no library of C++ for arm64 or no QEMU.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Build, checks, compile, compileCheck, isKernels, link, runCheck, unitsOf } from "./native-checks.ts";
import { nativeFolder, targets } from "./targets.ts";

const emulator = "qemu-aarch64-static";
/** Seconds that a program may take: attention takes most. */
const limit = 1800;

const asked = process.argv.slice(2);
const target = targets.find(({ name }) => name === "linux-arm64")!; // there is one
const missing = missingHere();
if (missing !== undefined) {
  process.stdout.write(`skipped: ${missing}\n`);
} else {
  const folder = mkdtempSync(join(tmpdir(), "polyllama-arm64-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const all = target.units.filter(isKernels).map(({ name }) => name);
  const sets = all.filter((set) => asked.length === 0 || asked.includes(set));
  const build: Build = { target, native: nativeFolder, folder, sets, flags: ["-O2", "-DNDEBUG", "-w"] };
  const objects = unitsOf(build).map((unit) => compile(build, unit));
  const start = performance.now();
  let wrong = 0;
  for (const check of checks) {
    const program = link({ ...build, flags: ["-static"] }, [compileCheck(build, check), ...objects], check);
    for (const set of sets) {
      const { ok, message, seconds } = runCheck(emulator, ["-cpu", "max", program, set], limit);
      if (!ok) wrong++;
      process.stdout.write(`${check} ${set}: ${ok ? "passed" : `WRONG: ${message}`}, ${seconds.toFixed(0)} s\n`);
    }
  }
  const seconds = Math.round((performance.now() - start) / 1000);
  const count = checks.length * sets.length;
  process.stdout.write(
    `${count - wrong} of ${count} programs passed by ${emulator} (${sets.join(", ")}), ${seconds} s\n`,
  );
  if (wrong > 0 || count === 0) process.exitCode = 1;
}

/** What is not installed, and how it comes. */
function missingHere(): string | undefined {
  if (spawnSync(target.compiler, ["--version"]).status !== 0) return `no ${target.compiler} (Debian's clang-14)`;
  const probe = ["-x", "c++", "-", "-static", "-o", "/dev/null"];
  const built = spawnSync(target.compiler, [...target.machine, ...probe], {
    input: "#include <vector>\nint main() {}",
  });
  if (built.status !== 0) return "no C++ library for arm64 (Debian's g++-aarch64-linux-gnu)";
  return spawnSync(emulator, ["--version"]).status === 0 ? undefined : `no ${emulator} (Debian's qemu-user-static)`;
}
