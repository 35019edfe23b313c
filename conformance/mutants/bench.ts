// A copy of the repository in which faults are planted and test files run: the process that runs them is started when
// it is needed, ended when it takes too long, and everything is removed at the end.

import { type ChildProcess, execFile, execFileSync, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JudgeOrder, JudgeStart, Verdict } from "./judge.ts";
import { copyRepository } from "./tree.ts";

const generated = "packages/backend-webgpu/src/kernels/generated.ts";

export class Bench {
  readonly #folder: string;
  readonly #root: string;
  #judge: ChildProcess | undefined;
  /** Whether a test has failed in the process that runs. */
  #failed = false;
  #changed = new Set<string>();

  private constructor(folder: string, root: string) {
    this.#folder = folder;
    this.#root = root;
  }

  static async create(): Promise<Bench> {
    const folder = mkdtempSync(join(tmpdir(), "polyllama-mutants-"));
    let bench: Bench | undefined;
    process.on("exit", () => {
      bench?.end();
      rmSync(folder, { recursive: true, force: true });
    });
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)
      process.on(signal, () => process.exit(code));
    bench = new Bench(folder, await copyRepository(folder));
    return bench;
  }

  /** Writes `text` where `file` stands in the copy. @returns a function that puts back what stood there. */
  async plant(file: string, text: string): Promise<() => Promise<void>> {
    const before = await readFile(join(this.#root, file), "utf8");
    await this.#write(file, text);
    return () => this.#write(file, before);
  }

  async #write(file: string, text: string): Promise<void> {
    await writeFile(join(this.#root, file), text);
    this.#changed.add(file);
    if (!file.endsWith(".wgsl")) return;
    execFileSync(process.execPath, ["packages/backend-webgpu/scripts/generate-kernels.mjs"], { cwd: this.#root });
    this.#changed.add(generated);
  }

  /**
   * Runs a test file, or only its tests of some names; undefined when it takes more than `limit` seconds or ends its
   * process. In a process that has seen a failure it is then tried once more in a fresh one, so that nothing but the
   * test file is to blame.
   */
  async run(test: string, record: boolean, limit: number, names?: RegExp): Promise<Verdict | undefined> {
    const again = this.#judge !== undefined && this.#failed;
    const verdict = await this.#order({ test, record, names: names?.source }, limit);
    return verdict === undefined && again ? await this.#order({ test, record, names: names?.source }, limit) : verdict;
  }

  async #order(order: Omit<JudgeOrder, "changed">, limit: number): Promise<Verdict | undefined> {
    const judge = this.#judge ?? (await this.#start());
    judge.send({ changed: [...this.#changed], ...order } satisfies JudgeOrder);
    this.#changed.clear();
    const timer = setTimeout(() => this.end(), limit * 1000);
    const verdict = (await answerOf(judge)) as Verdict | undefined; // written by judge.ts
    clearTimeout(timer);
    if (verdict === undefined) this.#judge = undefined;
    else this.#failed ||= verdict.failed !== undefined;
    return verdict;
  }

  async #start(): Promise<ChildProcess> {
    const start: JudgeStart = { root: this.#root, notes: join(this.#folder, "notes") };
    const judge = fork(join(this.#root, "conformance/mutants/judge.ts"), [JSON.stringify(start)], {
      cwd: this.#root,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      detached: true, // a group of its own, so that what it started ends with it
    });
    this.#judge = judge;
    this.#failed = false;
    this.#changed.clear();
    if ((await answerOf(judge)) !== "ready") throw new Error("vitest did not start in the copy of the repository");
    return judge;
  }

  /** What the compiler says first of the copy as it is. */
  async typeError(): Promise<string | undefined> {
    const compiler = join(this.#root, "node_modules", "typescript", "bin", "tsc");
    const options = { cwd: this.#root, maxBuffer: 2 ** 26 };
    return await new Promise((resolve) => {
      execFile(process.execPath, [compiler, "--noEmit", "-p", "tsconfig.json"], options, (error, stdout) =>
        resolve(error === null ? undefined : stdout.split("\n")[0]),
      );
    });
  }

  /** Ends the process that runs test files, with all that it started. */
  end(): void {
    const pid = this.#judge?.pid;
    this.#judge = undefined;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // it has ended by itself
    }
  }
}

/** The next message of a process; undefined when it ends without one. */
function answerOf(judge: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => {
    const settle = (answer: unknown): void => {
      judge.off("message", settle).off("exit", onEnd);
      resolve(answer);
    };
    const onEnd = (): void => settle(undefined);
    judge.once("message", settle).once("exit", onEnd);
  });
}
