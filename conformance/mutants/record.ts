// A setup file of vitest: after a test that fails, a file's other tests are left out. When asked to, it also notes
// which functions of the repository's sources a test file calls, in its own process and in those that it starts. What
// is noted is names, not places: sources are transformed before they run. `judge.ts` puts it into a record.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, inject } from "vitest";
import { type Script, startRecording } from "./record-process.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Root of the copy, and the folder of what is noted. */
    readonly mutants: { readonly root: string; readonly notes: string; readonly record: boolean };
  }
}

const { root, notes, record } = inject("mutants");
// Vitest's own `bail` counts failures over all runs of a process, and this one runs many.
let failed = false;
beforeEach(({ skip, onTestFailed }) => {
  skip(failed, "a test before it has failed");
  onTestFailed(() => {
    failed = true;
  });
});

if (record) {
  const processes = join(notes, "processes");
  mkdirSync(processes, { recursive: true });
  // For the processes that tests start.
  process.env["POLYLLAMA_NOTES"] = processes;
  const program = new URL("record-process.ts", import.meta.url).href;
  process.env["NODE_OPTIONS"] =
    `${process.env["NODE_OPTIONS"] ?? ""} --import ${import.meta.resolve("tsx")} --import ${program}`;
  const take = startRecording();
  afterAll(() => {
    const others = readdirSync(processes).flatMap((name) => parse(join(processes, name)));
    writeFileSync(join(notes, "called.json"), JSON.stringify(called([...take(), ...others])));
  });
}

function called(scripts: readonly Script[]): Readonly<Record<string, readonly string[]>> {
  const names = new Map<string, Set<string>>();
  for (const { url, functions } of scripts) {
    const path = url.replace(/^file:\/\//, "").replace(/\?.*$/, "");
    if (!path.startsWith(root) || !path.includes("/src/")) continue;
    const file = path.slice(root.length + 1);
    const known = names.get(file) ?? new Set();
    names.set(file, known);
    for (const { functionName, ranges } of functions) {
      if (functionName !== "" && ranges[0]!.count > 0) known.add(functionName.replace(/^(get|set) /, ""));
    }
  }
  return Object.fromEntries([...names].map(([file, known]) => [file, [...known]]));
}

function parse(path: string): readonly Script[] {
  try {
    return JSON.parse(readFileSync(path, "utf8")).result;
  } catch {
    return []; // a process that was killed while it wrote
  }
}
