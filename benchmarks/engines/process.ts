// Starts an engine in a process of its own and asks it one thing at a time.

import { fork } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Request } from "./protocol.ts";

export interface EngineProcess {
  readonly pid: number;
  ask(request: Request): Promise<number>;
  stop(): void;
}

export interface EngineOptions {
  /** Folder of another checkout of this project, whose engine of that name is meant. */
  readonly checkout?: string;
  /** Arguments of the engine's program. */
  readonly arguments?: readonly string[];
}

/** An engine of this folder, or of the benchmarks of another checkout of this project. */
export function startEngine(name: "polyllama" | "llama-cpp", options: EngineOptions = {}): EngineProcess {
  const { checkout } = options;
  const file =
    checkout === undefined
      ? fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
      : resolve(checkout, "benchmarks/engines", `${name}.ts`);
  const child = fork(file, options.arguments ?? [], { execArgv: process.execArgv });
  return {
    pid: child.pid ?? 0, // 0 where it did not start, which the first question says
    ask(request) {
      return new Promise((resolve, reject) => {
        const failed = (code: number | null, signal: string | null) =>
          reject(new Error(`The ${name} engine ended (${signal ?? code}) while asked to ${request.kind}.`));
        child.once("exit", failed);
        child.once("message", (answer) => {
          child.off("exit", failed);
          resolve(Number(answer));
        });
        child.send(request);
      });
    },
    stop() {
      child.kill("SIGKILL");
    },
  };
}
