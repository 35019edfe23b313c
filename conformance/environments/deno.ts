// Deno as an environment: a child process that runs the sources as they are. It is killed at the end, whatever happens.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CaseResult } from "@polyllama/conformance";
import { vulkanEnvironment } from "../../scripts/system.mjs";
import { caseTimeout, type Environment, type Remote, type RemoteBackend } from "./environment.ts";

const denoArguments = [
  ...["run", "-A", "--no-config", "--no-lock", "--node-modules-dir=manual", "--conditions=@polyllama/source"],
  fileURLToPath(new URL("deno-child.ts", import.meta.url)),
];

/** @param executable Path of Deno. */
export async function deno(executable: string, backend: RemoteBackend): Promise<Environment> {
  const env = { ...process.env, ...vulkanEnvironment() };
  const child = spawn(executable, denoArguments, { env, stdio: ["pipe", "pipe", "pipe"] });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const ask = converse(child);
  const dispose = async (): Promise<void> => {
    process.off("exit", kill);
    kill();
  };
  try {
    const opened = (await ask({ open: backend })) as Awaited<ReturnType<Remote["open"]>>; // our own child's answer
    return {
      ...opened,
      run: async (address, seed) => {
        const result = (await ask({ address, seed })) as CaseResult; // likewise
        return { ...result, worst: Number(result.worst) };
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Questions and answers, one at a time. */
function converse(child: ChildProcess): (question: object) => Promise<unknown> {
  let errors = "";
  child.stderr!.on("data", (chunk) => {
    errors = `${errors}${chunk}`.slice(-4000);
  });
  let settle: { resolve(value: unknown): void; reject(reason: Error): void } | undefined;
  createInterface({ input: child.stdout! }).on("line", (line) => settle?.resolve(JSON.parse(line)));
  const ended = (reason: string): void => settle?.reject(new Error(`Deno ${reason}:\n${errors}`));
  child.on("error", (error) => ended(error.message));
  child.on("close", (code, signal) => ended(`ended with ${code ?? signal}`));
  child.stdin!.on("error", () => {}); // it ended, which `close` tells
  return (question) =>
    new Promise<unknown>((resolve, reject) => {
      if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`Deno has ended:\n${errors}`));
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        ended(`took more than ${caseTimeout / 1000} s for ${JSON.stringify(question)}`);
      }, caseTimeout);
      const settled =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          settle = undefined;
          then(value);
        };
      settle = { resolve: settled(resolve), reject: settled(reject) };
      child.stdin!.write(`${JSON.stringify(question)}\n`);
    });
}
