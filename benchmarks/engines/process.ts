// Starts an engine in a process of its own and asks it one thing at a time.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Request } from "./protocol.ts";

export interface EngineProcess {
  ask(request: Request): Promise<number>;
  stop(): void;
}

export function startEngine(name: "polyllama" | "llama-cpp"): EngineProcess {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
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
