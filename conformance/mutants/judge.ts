// Runs test files of a copy of the repository, one after another and as often as asked: one vitest that lives long,
// since starting it costs more than most test files. Orders come as messages of the parent process, which also ends
// this one when it hangs.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestCase, TestModule, TestSuite } from "vitest/node";
import { createVitest } from "vitest/node";

export interface JudgeStart {
  /** Root of the copy. */
  readonly root: string;
  /** Folder for notes about which functions were called. */
  readonly notes: string;
}

export interface JudgeOrder {
  /** Files that were changed since the last order, from the copy's root. */
  readonly changed: readonly string[];
  /** A test file, from the copy's root. */
  readonly test: string;
  /** Whether to note which functions are called. */
  readonly record: boolean;
  /** Only the tests whose names match: the source of a regular expression. */
  readonly names?: string | undefined;
}

export interface Verdict {
  readonly passed: number;
  readonly skipped: number;
  readonly seconds: number;
  readonly failed?: {
    readonly title: string;
    readonly message: string;
    /** What to ask for this test by; none where it is no test that failed. */
    readonly name?: string;
  };
  /** Names of functions called, by source file. */
  readonly called?: Readonly<Record<string, readonly string[]>>;
}

const { root, notes }: JudgeStart = JSON.parse(process.argv[2]!);

// The node project alone, with the setup file that takes notes.
const configFile = join(root, "vitest.mutants.config.mjs");
writeFileSync(
  configFile,
  `import config from "./vitest.config.ts";
const [node] = config.test.projects;
const test = { ...node.test, setupFiles: ["conformance/mutants/record.ts"] };
export default { ...config, test: { ...config.test, projects: [{ ...node, test }] } };
`,
);
const vitest = await createVitest(
  "test",
  { root, config: configFile, watch: false, reporters: [{}], maxWorkers: 1 },
  { server: { watch: null } },
);
const project = vitest.getProjectByName("node");
await vitest.standalone();

process.on("message", (order: JudgeOrder) => {
  void answer(order).then(
    (verdict) => process.send?.(verdict),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.send?.("ready");

async function answer({ changed, test, record, names }: JudgeOrder): Promise<Verdict> {
  for (const file of changed) vitest.invalidateFile(join(root, file));
  rmSync(notes, { recursive: true, force: true });
  project.provide("mutants", { root, notes, record });
  if (names === undefined) vitest.resetGlobalTestNamePattern();
  else vitest.setGlobalTestNamePattern(new RegExp(names));
  const start = performance.now();
  const path = join(root, test);
  const result = await vitest.runTestSpecifications([project.createSpecification(path)]);
  const { unhandledErrors } = result;
  // it has those of earlier runs too
  const testModules = result.testModules.filter(({ moduleId }) => moduleId === path);
  const seconds = (performance.now() - start) / 1000;
  const tests = testModules.flatMap((module) => [...module.children.allTests()]);
  const count = (state: string): number => tests.filter((entry) => entry.result().state === state).length;
  const failed = failure(testModules, tests, unhandledErrors);
  return {
    passed: count("passed"),
    skipped: count("skipped"),
    seconds,
    ...(failed !== undefined && { failed }),
    ...(record && { called: readCalled() }),
  };
}

function readCalled(): Readonly<Record<string, readonly string[]>> {
  const path = join(notes, "called.json");
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
}

function failure(
  modules: readonly TestModule[],
  tests: readonly TestCase[],
  unhandled: readonly unknown[],
): Verdict["failed"] {
  const failed = tests.find((entry) => entry.result().state === "failed");
  if (failed !== undefined)
    return { title: failed.fullName, message: firstLine(failed.result().errors?.[0]), name: nameOf(failed) };
  const suite = modules
    .flatMap((module) => [...module.children.allSuites()])
    .find((entry) => entry.errors().length > 0);
  if (suite !== undefined) return { title: suite.fullName, message: firstLine(suite.errors()[0]) };
  const module = modules.find((entry) => entry.errors().length > 0);
  if (module !== undefined) return { title: "(before its first test)", message: firstLine(module.errors()[0]) };
  if (unhandled.length > 0) return { title: "(outside of tests)", message: firstLine(unhandled[0]) };
  return undefined;
}

/** The name that vitest holds against a pattern. */
function nameOf({ name, parent }: TestCase | TestSuite): string {
  return parent.type === "module" ? name : `${nameOf(parent)} ${name}`;
}

function firstLine(error: unknown): string {
  const message =
    typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error);
  return message.split("\n")[0]!.slice(0, 160);
}
