// Child processes of the mutation test: one order each, a hard time limit, and none left behind when this one ends.

import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Answer, Order } from "./child.ts";
import { copiesFolder } from "./mutant.ts";

const program = fileURLToPath(new URL("child.ts", import.meta.url));
const alive = new Set<ChildProcess>();

/** From now on, whatever ends this process ends its children and removes the copies. */
export function cleanUpAtExit(): void {
  process.on("exit", () => {
    for (const child of alive) child.kill("SIGKILL");
    rmSync(copiesFolder(), { recursive: true, force: true });
  });
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }
}

/** Carries out an order. A child that crashes or takes longer than `limit` seconds is `broken`. */
export function carryOut(order: Order, limit: number): Promise<Answer> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...process.execArgv, program, JSON.stringify(order)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    alive.add(child);
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (errors = (errors + chunk).slice(-2000)));
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, limit * 1000);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      alive.delete(child);
      if (late) resolve({ passed: 0, skipped: 0, broken: `it took more than ${limit} s` });
      else if (code !== 0)
        resolve({ passed: 0, skipped: 0, broken: `it ended with ${signal ?? code}: ${lastLine(errors)}` });
      else resolve(JSON.parse(lastLine(output)) as Answer); // written by child.ts
    });
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

/** Does work on every item, `jobs` at a time; results are handed on in the items' order, each as soon as it may be. */
export async function inOrder<Item, Result>(
  items: readonly Item[],
  jobs: number,
  work: (item: Item) => Promise<Result>,
  done: (item: Item, result: Result) => void,
): Promise<void> {
  const results = new Map<number, Result>();
  let next = 0;
  let shown = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      results.set(index, await work(items[index]!));
      for (; results.has(shown); shown++) done(items[shown]!, results.get(shown)!); // has() has just said so
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}
