// One input, one verdict. A parser may read a file or refuse it with an error of this project; anything else is a
// finding: another error, more than two seconds, or memory out of proportion.

import { readFileSync } from "node:fs";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { PolyllamaError } from "@polyllama/core";
import { watch } from "./buffers.ts";
import { type Meter, type Pieces, sizeOf } from "./pieces.ts";
import type { Target } from "./target.ts";

/** Milliseconds. */
export const mostMilliseconds = 2000;
/** Times an input's size that it may take in memory, in all and in any one buffer. */
export const memoryFactor = 4;
/**
 * What any input may take beside that: the parser's own code and garbage that V8's young generation has not yet
 * collected.
 */
export const spareBytes: number = 32 * 2 ** 20;
/** The same for one buffer: tables of a fixed size, such as one entry for each UTF-16 unit. */
export const spareBufferBytes: number = 2 ** 20;

export interface Verdict {
  readonly outcome: "read" | "refused" | "finding";
  /** What was found, or why the file was refused. */
  readonly detail: string;
  readonly milliseconds: number;
  /** Growth of the heap and of the buffers outside it; garbage that was collected on the way is not seen. */
  readonly grown: number;
}

/** Runs an input; what takes too long or too much is run again, since machines hesitate and code is compiled. */
export async function check(target: Target, input: Pieces): Promise<Verdict> {
  let verdict = await attempt(target, input, () => performance.now());
  for (let again = 0; again < 2 && verdict.outcome === "finding" && !verdict.detail.startsWith("threw"); again++) {
    collectGarbage();
    verdict = await attempt(target, input, processorTime);
  }
  return verdict;
}

async function attempt(target: Target, input: Pieces, now: () => number): Promise<Verdict> {
  const meter: Meter = { bytes: 0 };
  const before = memory();
  const buffers = watch();
  const started = now();
  let outcome: Verdict["outcome"] = "read";
  let detail = "";
  let problem: string | undefined;
  try {
    await target.run(input, meter);
  } catch (error) {
    outcome = "refused";
    if (error instanceof PolyllamaError) detail = error.message;
    else {
      problem = `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    }
  }
  const milliseconds = now() - started;
  const grown = memory() - before;
  const { largest } = buffers;
  const allowed = memoryFactor * sizeOf(input) + spareBytes;
  if (milliseconds > mostMilliseconds) problem ??= `took ${Math.round(milliseconds)} ms`;
  if (meter.bytes > allowed) problem ??= `read ${meter.bytes} bytes of a file of ${sizeOf(input)}`;
  if (largest > memoryFactor * sizeOf(input) + spareBufferBytes) {
    problem ??= `asked for a buffer of ${largest} bytes over a file of ${sizeOf(input)}`;
  }
  if (grown > allowed) problem ??= `memory grew by ${grown} bytes over a file of ${sizeOf(input)}`;
  if (problem !== undefined) return { outcome: "finding", detail: problem, milliseconds, grown };
  return { outcome, detail, milliseconds, grown };
}

/** Milliseconds that this thread has had a processor for, where Linux tells: a busy machine is no parser's fault. */
function processorTime(): number {
  try {
    return Number(readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

function memory(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

let collect: (() => void) | undefined;

function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void; // V8's own function, once the flag is set
  }
  collect();
}
