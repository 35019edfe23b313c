// Runs the program on a pseudo terminal, which `script` of util-linux makes: on Debian it belongs to the base system.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { describe, test } from "vitest";
import { sourceArguments } from "./program.ts";

const found = process.platform === "linux" && spawnSync("script", ["--version"], { encoding: "utf8" }).status === 0;

/** `describe` for suites that need a pseudo terminal. */
export function describeOnTerminal(name: string, define: () => void): void {
  if (found) describe(name, define);
  else if (process.env["CI"]) describe(name, () => test("script is installed", missing));
  else describe.skip(`${name} (NOT RUN: \`script\` of util-linux is missing)`, define);
}

function missing(): never {
  throw new Error("`script` of util-linux is missing; in CI the suites that need it must run.");
}

export interface Terminal {
  readonly child: ChildProcessWithoutNullStreams;
  /** All that the terminal was sent. */
  raw(): string;
  /** What of it is text: without what steers the terminal, and without progress bars. */
  text(): string;
  /** Waits until the text of what was sent after `from` matches; returns how much was sent at that time. */
  until(pattern: RegExp, from?: number): Promise<number>;
  /** The exit code. */
  readonly finished: Promise<number | null>;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are steered by them
const steering = /\x1b(?:\[[\d;?]*[A-Za-z]|[78])|\r/g;
/** Without bars, which stand between two steps of steering. */
const textOf = (sent: string): string =>
  sent
    .replace(steering, "\v")
    .replace(/[^\n\v]*[░█][^\n\v]*/g, "")
    .replaceAll("\v", "");

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Starts the program on a terminal of that many columns. What is typed is written to the child's standard input. */
export function startOnTerminal(args: readonly string[], columns = 80): Terminal {
  const command = [process.execPath, ...sourceArguments, ...args].map(quoted).join(" ");
  const child = spawn("script", ["-qfec", `stty cols ${columns} rows 40; exec ${command}`, "/dev/null"], {
    timeout: 110_000,
    killSignal: "SIGKILL",
    env: { ...process.env, TERM: "xterm", NO_COLOR: "1" },
  });
  let text = "";
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of listeners) listener();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      tell();
    });
  }
  child.stdin.on("error", () => undefined);
  const finished = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve(code);
      tell();
    });
  });
  return {
    child,
    raw: () => text,
    text: () => textOf(text),
    finished,
    until: (pattern, from = 0) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (pattern.test(textOf(text.slice(from)))) resolve(text.length);
          else if (child.exitCode !== null || child.signalCode !== null) {
            reject(new Error(`ended without ${pattern}: ${JSON.stringify(text.slice(from))}`));
          } else return;
          listeners.delete(check);
        };
        listeners.add(check);
        check();
      }),
  };
}
