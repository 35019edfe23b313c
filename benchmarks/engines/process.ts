// Starts an engine in a process of its own and asks it one thing at a time.

import { fork } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Request } from "./protocol.ts";

export interface EngineProcess {
  ask(request: Request): Promise<number>;
  stop(): void;
}

/** An engine of this folder, or of the benchmarks of another checkout of this project. */
export function startEngine(name: "polyllama" | "llama-cpp", checkout?: string): EngineProcess {
  const file =
    checkout === undefined
      ? fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
      : resolve(checkout, "benchmarks/engines", `${name}.ts`);
  const child = fork(file, { execArgv: process.execArgv });
  return {
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
