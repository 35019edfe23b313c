// Faults judged by the project's own test files: those that call the function in which the fault lies, the likeliest
// first, until one fails. What a test file calls is recorded when it is first needed.

import { basename } from "node:path";
import ts from "typescript";
import { Bench } from "./bench.ts";
import { enclosingFunction } from "./enclosing.ts";
import { calls, keepRecord, readRecord, type TestRecord } from "./records.ts";
import { judgesOf, type Target } from "./targets.ts";
import { git } from "./tree.ts";

/** A source with a fault in it. */
export interface Planted {
  /** From the repository's root. */
  readonly file: string;
  readonly original: string;
  readonly text: string;
  /** Where the change begins. */
  readonly offset: number;
}

export type Outcome =
  | { readonly kind: "found"; readonly test: string; readonly title: string; readonly message: string }
  | { readonly kind: "hangs"; readonly test: string }
  | { readonly kind: "does not compile"; readonly message: string }
  /** After so many test files that call it. */
  | { readonly kind: "survives"; readonly judges: number };

/** Seconds that a test file may take: generous, as other work may be under way. */
const limitOf = (record: TestRecord): number => 60 + 6 * record.seconds;
const earlyLimit = 300;
const recordLimit = 900;

export class TestJudge implements Disposable {
  readonly #bench: Bench;
  readonly #files = git("ls-files", "--cached", "--others", "--exclude-standard").split("\n");
  /** Whether the compiler has nothing to say without a fault, once that is known. */
  #typed: boolean | undefined;
  /** Test files that fail without a fault, and the compiler where it does. */
  readonly unsound: Set<string> = new Set();

  private constructor(bench: Bench) {
    this.#bench = bench;
  }

  static async create(): Promise<TestJudge> {
    return new TestJudge(await Bench.create());
  }

  /** Ends the process that runs test files. */
  [Symbol.dispose](): void {
    this.#bench.end();
  }

  async judge(planted: Planted, target: Target): Promise<Outcome> {
    const message = syntaxError(planted);
    if (message !== undefined) return { kind: "does not compile", message };
    const name = enclosingFunction(planted.file, planted.original, planted.offset);
    const early = target.first && (await this.#try(planted, target.first.test, earlyLimit, target.first.names));
    if (early !== undefined) return early;
    const calling = await this.#ask(
      planted,
      target,
      (record, test) =>
        target.threads?.some((thread) => thread.test === test && planted.file.startsWith(thread.sources)) ||
        relevant(planted.file, record, name),
    );
    if (calling.kind !== "survives") return calling;
    const asked =
      calling.judges > 0
        ? calling
        : await this.#ask(planted, target, (record) => calls(record, planted.file, undefined) !== false);
    return asked.kind === "survives" ? ((await this.#checkTypes(planted)) ?? asked) : asked;
  }

  /** The types, which `npm test` checks too: last, as the compiler reads all of the repository. */
  async #checkTypes({ file, text }: Planted): Promise<Outcome | undefined> {
    if (!file.endsWith(".ts")) return undefined;
    this.#typed ??= (await this.#bench.typeError()) === undefined;
    if (!this.#typed) {
      this.unsound.add("tsc");
      return undefined;
    }
    const restore = await this.#bench.plant(file, text);
    const message = await this.#bench.typeError().finally(restore);
    return message === undefined ? undefined : { kind: "found", test: "tsc", title: "types", message };
  }

  /** Asks the test files whose record says so, until one finds the fault. */
  async #ask(
    planted: Planted,
    target: Target,
    asked: (record: TestRecord, test: string) => boolean | undefined,
  ): Promise<Outcome> {
    const name = enclosingFunction(planted.file, planted.original, planted.offset);
    let judges = 0;
    for (const test of this.#ordered(planted, target, name)) {
      const record = readRecord(test) ?? (await this.#record(test));
      if (record === undefined || !asked(record, test)) continue;
      judges++;
      const outcome = await this.#try(planted, test, limitOf(record));
      if (outcome !== undefined) return outcome;
    }
    return { kind: "survives", judges };
  }

  async #try({ file, text }: Planted, test: string, limit: number, names?: RegExp): Promise<Outcome | undefined> {
    const restore = await this.#bench.plant(file, text);
    const verdict = await this.#bench.run(test, false, limit, names).finally(restore);
    if (verdict !== undefined && verdict.failed === undefined) return undefined;
    // What finds a fault has to pass without it, right after: a test that fails now and then finds nothing.
    const passes = (await this.#passes(test, verdict?.failed?.name, limit)) || (await this.#record(test)) !== undefined;
    if (!passes) return undefined;
    return verdict?.failed === undefined ? { kind: "hangs", test } : { kind: "found", test, ...verdict.failed };
  }

  /** Whether a test passes alone without a fault. */
  async #passes(test: string, name: string | undefined, limit: number): Promise<boolean> {
    if (name === undefined) return false;
    const alone = new RegExp(`^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
    const verdict = await this.#bench.run(test, false, limit, alone);
    return verdict !== undefined && verdict.failed === undefined && verdict.passed > 0;
  }

  /** Runs a test file without a fault; undefined where it fails. */
  async #record(test: string): Promise<TestRecord | undefined> {
    if (this.unsound.has(test)) return undefined;
    const verdict = await this.#bench.run(test, true, recordLimit);
    if (verdict !== undefined && verdict.failed === undefined) return keepRecord(test, verdict);
    this.unsound.add(test);
    return undefined;
  }

  /** Test files: the nearest folders first, then by likeness of names, what is known to call the function, and time. */
  #ordered({ file }: Planted, target: Target, name: string | undefined): readonly string[] {
    const rank = (test: string, at: number): readonly number[] => {
      const record = readRecord(test);
      const known = record === undefined ? 1 : calls(record, file, name) === true ? 0 : 2;
      const folder = target.tests.findIndex((start) => test.startsWith(start));
      return [folder, -likeness(file, test), known, record?.seconds ?? 0, at];
    };
    return judgesOf(target, this.#files)
      .map((test, at) => ({ test, rank: rank(test, at) }))
      .sort((a, b) => a.rank.map((value, i) => value - b.rank[i]!).find((difference) => difference !== 0) ?? 0)
      .map(({ test }) => test);
  }
}

/** Kernels are judged by all tests of their package: what calls them cannot be noted. */
function relevant(file: string, record: TestRecord, name: string | undefined): boolean {
  return !file.endsWith(".ts") || calls(record, file, name) !== false;
}

/**
 * Of how many letters the beginning is that a word of a source's path has in common with one of a test's name; below 4:
 * none.
 */
function likeness(file: string, test: string): number {
  const words = file
    .replace(/\.\w+$/, "")
    .split(/[^a-zA-Z0-9]+/)
    .slice(2);
  const names = basename(test, ".test.ts").split("-");
  const common = words.flatMap((word) => names.map((name) => commonStart(word, name)));
  const best = Math.max(0, ...common);
  return best >= 4 ? best : 0;
}

function commonStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

function syntaxError({ file, text }: Planted): string | undefined {
  if (!file.endsWith(".ts")) return undefined;
  const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true, fileName: file });
  const first = diagnostics?.[0];
  return first && ts.flattenDiagnosticMessageText(first.messageText, " ");
}
