// `npm run sanitize:cpu`: the programs of native/test under AddressSanitizer with UndefinedBehaviorSanitizer, and under
// ThreadSanitizer, in every instruction set that runs here. `-- address` or `-- thread` names one of them, and names of
// sets may follow. Skipped, and said so, where there is no clang.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Build,
  checkedTarget,
  checks,
  compile,
  compileCheck,
  isKernels,
  link,
  runCheck,
  setsHere,
  unitsOf,
} from "./native-checks.ts";
import { nativeFolder } from "./targets.ts";

/**
 * Kernels are not watched for undefined behaviour, which takes the compiler minutes; what they do to memory is. Values
 * of structs need not be aligned.
 */
const sanitizers: Readonly<Record<string, { readonly all: readonly string[]; readonly others: readonly string[] }>> = {
  address: {
    all: ["-fsanitize=address", "-fno-omit-frame-pointer"],
    others: ["-fsanitize=undefined", "-fno-sanitize=alignment", "-fno-sanitize-recover=undefined"],
  },
  thread: { all: ["-fsanitize=thread"], others: [] },
};

const asked = process.argv.slice(2);
const chosen = checkedTarget();
if ("missing" in chosen) {
  process.stdout.write(`skipped: ${chosen.missing}\n`);
} else {
  const folder = mkdtempSync(join(tmpdir(), "polyllama-sanitize-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const kinds = Object.keys(sanitizers).filter(
    (kind) => asked.includes(kind) || !asked.some((name) => name in sanitizers),
  );
  const plain: Build = { target: chosen.target, native: nativeFolder, folder, sets: [], flags: [] };
  const sets = setsHere(plain).filter((set) => asked.includes(set) || !asked.some((name) => !(name in sanitizers)));
  const start = performance.now();
  let wrong = 0;
  let count = 0;
  for (const kind of kinds) {
    const { all, others } = sanitizers[kind]!; // kinds are keys
    const flags = ["-O1", "-g1", "-DNDEBUG", ...all];
    const build: Build = { ...plain, folder: join(folder, kind), sets, flags, watched: true };
    const objects = unitsOf(build).map((unit) =>
      compile({ ...build, flags: isKernels(unit) ? flags : [...flags, ...others] }, unit),
    );
    const linking: Build = { ...build, flags: [...flags, ...others] };
    for (const check of checks) {
      const program = link(linking, [compileCheck(build, check), ...objects], check);
      for (const set of sets) {
        const { ok, message, seconds } = runCheck(program, [set], 600);
        count++;
        if (!ok) wrong++;
        process.stdout.write(
          `${kind}  ${check} ${set}: ${ok ? "clean" : `WRONG: ${message}`}, ${seconds.toFixed(0)} s\n`,
        );
      }
    }
  }
  const seconds = Math.round((performance.now() - start) / 1000);
  const scope = `${kinds.join(" and ")}, ${sets.join(", ")}`;
  process.stdout.write(`${count - wrong} of ${count} programs clean (${scope}), ${seconds} s\n`);
  if (wrong > 0 || count === 0) process.exitCode = 1;
}
