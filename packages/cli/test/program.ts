// Runs the real program from its sources as a child process, always with a time limit.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main: string = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const limit = 110_000;

/** What makes Node run the program, before its own arguments. */
export const sourceArguments: readonly string[] = [
  "--conditions=@polyllama/source",
  "--import",
  import.meta.resolve("tsx"),
  main,
];

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
  /** Waits until the stream's text from `from` on, matches; returns the length of the text at that time. */
  until(stream: "stdout" | "stderr", pattern: RegExp, from?: number): Promise<number>;
}

export function start(args: readonly string[]): Running {
  const child = spawn(process.execPath, [...sourceArguments, ...args], { timeout: limit, killSignal: "SIGKILL" });
  const text = { stdout: "", stderr: "" };
  const listeners = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      for (const listener of listeners) listener();
    });
  }
  child.stdin.on("error", () => undefined); // programs that fail early do not read it
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve({ code, signal, ...text });
      for (const listener of listeners) listener();
    });
  });
  return {
    child,
    finished,
    until: (stream, pattern, from = 0) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (pattern.test(text[stream].slice(from))) resolve(text[stream].length);
          else if (child.exitCode !== null || child.signalCode !== null) {
            reject(new Error(`ended without ${pattern} on ${stream}: ${JSON.stringify(text)}`));
          } else return;
          listeners.delete(check);
        };
        listeners.add(check);
        check();
      }),
  };
}

/** Runs to the end. Standard input is closed, or is `input`. */
export function run(args: readonly string[], input = ""): Promise<Finished> {
  const { child, finished } = start(args);
  child.stdin.end(input);
  return finished;
}
