// `npm run conformance:mutants -- --native`: plants faults in copies of `native`, compiles what they touch, and asks the
// programs of its `test` folder: kernels of the best instruction set that runs here, then, where these do not show the
// fault, plain ones. Names of faults may follow; `--list` prints them.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Build,
  type Check,
  checkedTarget,
  compile,
  compileCheck,
  isKernels,
  keepFormats,
  link,
  runCheck,
  setsHere,
  unitsOf,
} from "../native-checks.ts";
import { nativeFolder } from "../targets.ts";
import { faults } from "./all.ts";
import { type NativeFault, planted } from "./fault.ts";

/** Seconds that a program may take. */
const limit = 120;

/** Prints what finds each fault. @returns whether all are found. */
function findAll(selection: readonly NativeFault[]): boolean {
  const chosen = checkedTarget();
  if ("missing" in chosen) {
    process.stdout.write(`skipped, none of ${selection.length} planted: ${chosen.missing}\n`);
    return true;
  }
  const start = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "polyllama-native-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const judge = new Judge({
    target: chosen.target,
    native: nativeFolder,
    folder,
    sets: [],
    flags: ["-O1", "-DNDEBUG", "-w"],
  });
  let found = 0;
  for (const fault of selection) {
    const { ok, text } = judge.judge(fault);
    if (ok) found++;
    process.stdout.write(`native  ${fault.id}: ${fault.what}; ${text}\n`);
  }
  const seconds = Math.round((performance.now() - start) / 1000);
  process.stdout.write(`${found} of ${selection.length} found (kernels: ${judge.sets.join(", ")}), ${seconds} s\n`);
  return found === selection.length;
}

/** What is compiled of sources without a fault, by the formats that kernels are compiled for. */
interface Clean {
  readonly build: Build;
  readonly objects: ReadonlyMap<string, string>;
  /** Programs that passed, by set. */
  readonly passed: Set<string>;
}

class Judge {
  readonly #base: Build;
  readonly #clean = new Map<string, Clean>();
  readonly #checks = new Map<Check, string>();
  /** The best one that runs here, and plain. */
  readonly sets: readonly string[];

  constructor(base: Build) {
    this.#base = base;
    this.sets = [...new Set([setsHere(base)[0] ?? "plain", "plain"])];
  }

  judge(fault: NativeFault): { readonly ok: boolean; readonly text: string } {
    const formats = [...new Set(["f32", ...(fault.formats ?? [])])];
    const folder = join(this.#base.folder, fault.id);
    let same = true;
    try {
      for (const set of this.sets) {
        const clean = this.#cleanOf(set, formats);
        const build = copy({ ...clean.build, folder }, fault, formats);
        const objects: string[] = [];
        for (const unit of unitsOf(build)) {
          const own = clean.objects.get(unit.name)!; // cleanOf compiled all units
          if (!touches(fault.file, unit.source)) {
            objects.push(own);
            continue;
          }
          const object = compile(build, unit);
          if (!readFileSync(object).equals(readFileSync(own))) same = false;
          objects.push(object);
        }
        if (same) continue;
        for (const check of fault.checks) {
          const rest = check === "attention" || check === "check_runs" ? [set] : [set, ...formats];
          this.#expectClean(clean, check, set, rest);
          const outcome = runCheck(link(build, [this.#check(check), ...objects], check), rest, limit);
          if (!outcome.ok) return { ok: true, text: `found by ${check}, ${set}: ${outcome.message}` };
        }
      }
      return { ok: false, text: same ? "CHANGES NO CODE" : `NOT FOUND by ${fault.checks.join(", ")}` };
    } catch (error) {
      return { ok: false, text: `DOES NOT COMPILE, or the check fails without it: ${(error as Error).message}` }; // own
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  #cleanOf(set: string, formats: readonly string[]): Clean {
    const key = `${set}-${formats.join("-")}`;
    let clean = this.#clean.get(key);
    if (clean === undefined) {
      const build = copy({ ...this.#base, folder: join(this.#base.folder, key), sets: [set] }, undefined, formats);
      const first = [...this.#clean.values()][0];
      const objects = unitsOf(build).map((unit) => {
        const kept = isKernels(unit) || unit.source.startsWith("test/") ? undefined : first?.objects.get(unit.name);
        return [unit.name, kept ?? compile(build, unit)] as const;
      });
      clean = { build, objects: new Map(objects), passed: new Set() };
      this.#clean.set(key, clean);
    }
    return clean;
  }

  /** @throws {Error} when a check fails without a fault. */
  #expectClean(clean: Clean, check: Check, set: string, rest: readonly string[]): void {
    if (clean.passed.has(check)) return;
    const program = link(clean.build, [this.#check(check), ...clean.objects.values()], check);
    const { ok, message } = runCheck(program, rest, limit);
    if (!ok) throw new Error(`${check} ${set}: ${message}`);
    clean.passed.add(check);
  }

  #check(check: Check): string {
    let object = this.#checks.get(check);
    if (object === undefined) {
      object = compileCheck({ ...this.#base, folder: join(this.#base.folder, "checks") }, check);
      this.#checks.set(check, object);
    }
    return object;
  }
}

/** A build of a copy of the sources, with a fault or without. */
function copy(build: Build, fault: NativeFault | undefined, formats: readonly string[]): Build {
  const native = join(build.folder, "native");
  cpSync(nativeFolder, native, { recursive: true });
  if (fault !== undefined) writeFileSync(join(native, fault.file), planted(fault));
  keepFormats(native, formats);
  return { ...build, native };
}

/** Whether a source is, or includes, a file. */
function touches(file: string, source: string): boolean {
  if (source.startsWith("test/")) return false;
  if (file.endsWith(".cpp")) return file === source;
  if (file.startsWith("kernels/") || file.startsWith("simd/")) return source === "kernels/kernels.cpp";
  return file !== "xxh64.h" || source === "read.cpp";
}

const asked = process.argv.slice(2);
const names = asked.filter((argument) => argument !== "--list");
const unknown = names.find((name) => faults.every(({ id }) => id !== name));
const selection = faults.filter(({ id }) => names.length === 0 || names.includes(id));
if (unknown !== undefined) {
  process.stderr.write(`There is no fault ${unknown}; --list shows them.\n`);
  process.exitCode = 2;
} else if (asked.includes("--list")) {
  for (const { id, what } of selection) process.stdout.write(`native  ${id}: ${what}\n`);
} else if (!findAll(selection)) {
  process.exitCode = 1;
}
