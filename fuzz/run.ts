// npm run fuzz: spoiled files of every kind against their parsers, for some minutes, on several threads. A finding is
// written to a file, and can be run again from it or from its numbers.
//
//   npm run fuzz -- --minutes 10 [--seed TEXT] [--only PARSER] [--threads 2] [--out FOLDER]
//   npm run fuzz -- --replay FILE

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  check,
  memoryFactor,
  mostMilliseconds,
  spareBufferBytes,
  spareBytes,
} from "@polyllama/test-support/fuzz/check";
import { flatten } from "@polyllama/test-support/fuzz/pieces";
import { randomOf } from "@polyllama/test-support/fuzz/random";
import type { Target } from "@polyllama/test-support/fuzz/target";
import { readArguments } from "../scripts/arguments.mjs";
import { allTargets } from "./targets.ts";
import type { WorkerReport, WorkerTask } from "./worker.ts";

const options = readArguments(
  "npm run fuzz",
  "Spoils files of every kind and shows that the parsers read or refuse them.",
  {
    minutes: { type: "string", default: "1", about: "how long" },
    seed: { type: "string", default: String(Date.now()), about: "seed of what is spoiled" },
    only: { type: "string", about: "one parser" },
    threads: { type: "string", default: "2", about: "threads" },
    out: { type: "string", default: "fuzz-findings", about: "folder for findings" },
    replay: { type: "string", about: "file of a finding to run again" },
  },
);

interface Row {
  read: number;
  refused: number;
  findings: number;
  slowest: number;
  grown: number;
}

const targets = await allTargets();
if (options.replay !== undefined) await replay(options.replay);
else await fuzz();

/** A finding's file is named PARSER~SEED~NUMBER.bin. */
async function replay(path: string): Promise<void> {
  const target = targetNamed(decodeURIComponent(/([^/\\]+?)~[^/\\]*$/.exec(path)?.[1] ?? ""));
  const { outcome, detail } = await check(target, [new Uint8Array(await readFile(path))]);
  console.log(`${outcome}${detail && `: ${detail}`}`);
  process.exitCode = outcome === "finding" ? 1 : 0;
}

function targetNamed(name: string): Target {
  const target = targets.find((candidate) => candidate.name === name);
  if (target !== undefined) return target;
  throw new Error(`There is no parser "${name}". They are: ${targets.map((t) => t.name).join("; ")}.`);
}

async function fuzz(): Promise<void> {
  const { seed, only, out } = options;
  const [minutes, threads] = [Number(options.minutes), Number(options.threads)];
  if (!(minutes > 0 && Number.isInteger(threads) && threads > 0))
    throw new Error("--minutes and --threads must be positive.");
  if (only !== undefined) targetNamed(only);
  for (const target of targets) {
    for (const sound of target.sound) {
      const { outcome, detail } = await check(target, sound);
      if (outcome !== "read") throw new Error(`A sound file of ${target.name} is not read: ${detail}`);
    }
  }

  const rows = new Map<string, Row>(
    targets.map(({ name }) => [name, { read: 0, refused: 0, findings: 0, slowest: 0, grown: 0 }]),
  );
  const record = async (name: string, number: number, problem: string, input: Uint8Array): Promise<void> => {
    rows.get(name)!.findings++;
    await mkdir(out, { recursive: true });
    const path = join(out, `${encodeURIComponent(name)}~${encodeURIComponent(seed)}~${number}.bin`);
    await writeFile(path, input);
    console.log(
      `\n${name}, seed ${seed}, input ${number}: ${problem}\n  npm run fuzz -- --replay ${JSON.stringify(path)}`,
    );
  };
  const started = Date.now();
  const deadline = started + 60_000 * minutes;
  console.log(`seed ${seed}, ${minutes} minutes, ${threads} threads`);
  await Promise.all(Array.from({ length: threads }, (_, thread) => runThread(thread)));

  const seconds = (Date.now() - started) / 1000;
  const all = [...rows.values()].reduce((sum, { read, refused, findings }) => sum + read + refused + findings, 0);
  const found = [...rows.values()].reduce((sum, { findings }) => sum + findings, 0);
  const line = (name: string, ...cells: readonly (string | number)[]) =>
    console.log(name.padEnd(26) + cells.map((cell) => String(cell).padStart(12)).join(""));
  console.log();
  line("parser", "inputs", "read", "refused", "findings", "slowest ms", "MiB grown");
  for (const [name, { read, refused, findings, slowest, grown }] of rows) {
    line(name, read + refused + findings, read, refused, findings, slowest.toFixed(0), (grown / 2 ** 20).toFixed(1));
  }
  console.log(
    `\n${all} inputs in ${seconds.toFixed(0)} s, ${found} findings (errors that are not polyllama's, over ${mostMilliseconds} ms, ` +
      `memory over ${memoryFactor} times the file and ${spareBytes / 2 ** 20} MiB, a buffer over ${memoryFactor} times the file and ` +
      `${spareBufferBytes / 2 ** 20} MiB)`,
  );
  process.exitCode = found > 0 ? 1 : 0;

  /** Runs a thread until the deadline; a new one takes its place where it hangs or dies. */
  async function runThread(thread: number): Promise<void> {
    const next = targets.map(() => thread);
    while (Date.now() < deadline) {
      const end = await watch({ seed, deadline, thread, threads, only, next, state: newState() });
      if (end.finished) return;
      next.splice(0, next.length, ...end.next);
      const [index, number] = end.at;
      const target = targets[index]!;
      // A machine that hesitates is no finding: the input alone has to hang again, twice.
      for (let again = 0; again < 2; again++) {
        const task = { seed, deadline: 0, thread, threads, only, next, single: end.at, state: newState() };
        if ((await watch(task)).finished) break;
        if (again === 1) {
          const input = flatten(target.make(randomOf(`${seed} ${target.name} ${number}`)));
          await record(target.name, number, end.problem, input);
        }
      }
    }
  }

  function watch(task: WorkerTask): Promise<{
    readonly finished: boolean;
    readonly at: readonly [number, number];
    readonly next: readonly number[];
    readonly problem: string;
  }> {
    const state = new Float64Array(task.state);
    const next = [...task.next];
    // A thread has to register the loader of TypeScript by itself.
    const [loader, entry] = [import.meta.resolve("tsx/esm/api"), new URL("./worker.ts", import.meta.url)];
    const worker = new Worker(`import("${loader}").then(({ register }) => (register(), import("${entry}")))`, {
      eval: true,
      execArgv: ["--conditions=@polyllama/source"],
      workerData: task,
      // As the thread that renders chat templates: the less garbage waits, the closer is what is seen to what is
      // needed.
      resourceLimits: { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 24 },
    });
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (finished: boolean, problem = ""): void => {
        if (settled) return;
        settled = true;
        clearInterval(timer);
        const [index = 0, number = 0] = state;
        // Counts of the last turns are lost with the thread; numbers that were tried are not tried again.
        if (!finished) next[index] = number + task.threads;
        void worker.terminate().then(() => resolve({ finished, at: [index, number], next, problem }));
      };
      const timer = setInterval(() => {
        const since = state[2]!;
        if (since > 0 && Date.now() - since > 3 * mostMilliseconds + 500)
          settle(false, `hangs: more than ${mostMilliseconds} ms`);
      }, 100);
      worker.on("message", (message: WorkerReport) => {
        if (message.kind === "done") return settle(true);
        if (message.kind === "finding") {
          return void record(message.name, message.number, message.problem, message.input);
        }
        const row = rows.get(message.name)!;
        row.read += message.read;
        row.refused += message.refused;
        row.slowest = Math.max(row.slowest, message.slowest);
        row.grown = Math.max(row.grown, message.grown);
        const index = targets.findIndex(({ name }) => name === message.name);
        next[index]! += task.threads * (message.read + message.refused);
      });
      worker.on("error", (error) => {
        if (state[2] === 0)
          reject(error); // not a parser's fault
        else settle(false, `ends its thread: ${error.message}`);
      });
      worker.on("exit", () => settle(false, "ends its thread"));
    });
  }
}

function newState(): SharedArrayBuffer {
  return new SharedArrayBuffer(3 * Float64Array.BYTES_PER_ELEMENT);
}
