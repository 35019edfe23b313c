// One thread of fuzzing. It says in shared memory which input it is at and since when, so that the main thread sees it
// hang, and takes the parser next that has had the least time.

import { parentPort, workerData } from "node:worker_threads";
import { check } from "@polyllama/test-support/fuzz/check";
import { flatten } from "@polyllama/test-support/fuzz/pieces";
import { randomOf } from "@polyllama/test-support/fuzz/random";
import { allTargets } from "./targets.ts";

/** What a thread is started with. */
export interface WorkerTask {
  readonly seed: string;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  /** Inputs of this thread are those whose number has this remainder by `threads`. */
  readonly thread: number;
  readonly threads: number;
  readonly only: string | undefined;
  /** Number of the next input, by target. */
  readonly next: readonly number[];
  /** Target and number of a single input to be tried, and nothing else. */
  readonly single?: readonly [number, number];
  /** Three numbers: target, input, and the time since when it runs, or 0. */
  readonly state: SharedArrayBuffer;
}

/** What a thread says. */
export type WorkerReport =
  | {
      readonly kind: "counts";
      readonly name: string;
      readonly read: number;
      readonly refused: number;
      readonly slowest: number;
      readonly grown: number;
    }
  | {
      readonly kind: "finding";
      readonly name: string;
      readonly number: number;
      readonly problem: string;
      readonly input: Uint8Array;
    }
  | { readonly kind: "done" };

const task = workerData as WorkerTask; // given by run.ts
const port = parentPort!;
const state = new Float64Array(task.state);
const targets = await allTargets();
const report = (message: WorkerReport): void => port.postMessage(message);

async function one(index: number, number: number) {
  const target = targets[index]!;
  const input = target.make(randomOf(`${task.seed} ${target.name} ${number}`));
  state.set([index, number, Date.now()]);
  const verdict = await check(target, input);
  state[2] = 0;
  const { outcome, detail } = verdict;
  if (outcome === "finding") {
    report({ kind: "finding", name: target.name, number, problem: detail, input: flatten(input) });
  }
  return verdict;
}

if (task.single !== undefined) await one(...task.single);
else {
  const chosen = targets.flatMap(({ name }, index) => (task.only === undefined || name === task.only ? [index] : []));
  const next = [...task.next];
  const spent = targets.map(() => 0);
  while (Date.now() < task.deadline) {
    const index = chosen.reduce((least, candidate) => (spent[candidate]! < spent[least]! ? candidate : least));
    const started = performance.now();
    const counts = { read: 0, refused: 0, slowest: 0, grown: 0 };
    // Some inputs in a row, so that reports do not cost more than they say.
    while (performance.now() - started < 100) {
      const number = next[index]!;
      next[index] = number + task.threads;
      const { outcome, milliseconds, grown } = await one(index, number);
      if (outcome !== "finding") counts[outcome]++;
      counts.slowest = Math.max(counts.slowest, milliseconds);
      counts.grown = Math.max(counts.grown, grown);
    }
    spent[index]! += performance.now() - started;
    report({ kind: "counts", name: targets[index]!.name, ...counts });
  }
}
report({ kind: "done" });
