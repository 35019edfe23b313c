// Questions to WebGPU, asked in a process of its own: graphics drivers and Dawn write warnings of theirs to standard
// error, may take long to start, and may crash. So the warnings are kept for `--verbose`, the time has a limit, and a
// crash is an answer.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createHint, type Telling } from "../progress.ts";
import { note } from "../terminal.ts";
import type { Answers, Reply, Subject, Task, TaskName } from "./tasks.ts";

export interface Probing extends Telling {
  readonly signal: AbortSignal;
  /** Show what the process writes to standard error. */
  readonly verbose: boolean;
}

export interface ProbeOptions extends Probing {
  /** Longest time to wait. */
  readonly seconds: number;
  readonly subject?: Subject;
  /** The program that answers; tests have others. */
  readonly program?: URL;
}

/** The answer, or why there is none. @throws the signal's reason */
export async function probe<Name extends TaskName>(
  name: Name,
  { signal, verbose, seconds, subject, program = childProgram(), ...telling }: ProbeOptions,
): Promise<{ readonly answer: Answers[Name] } | { readonly reason: string }> {
  signal.throwIfAborted();
  using _ = createHint("checking webgpu", telling);
  const child = fork(fileURLToPath(program), {
    execArgv: nodeArguments(program),
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  const timer = setTimeout(kill, seconds * 1000);
  signal.addEventListener("abort", kill, { once: true });
  let written = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    written = (written + text).slice(-65536);
  });
  try {
    let reply: Reply | undefined;
    const ended = new Promise<string>((resolve) => {
      child.on("message", (message) => {
        reply = message as Reply; // the program is ours
      });
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, killed) => resolve(`its process ended with ${code ?? killed}`));
    });
    const task: Task = { name, ...(subject !== undefined && { subject }) };
    child.send(task, () => undefined); // one that cannot be sent ends without an answer
    const started = performance.now();
    const end = await ended;
    signal.throwIfAborted();
    if (verbose && written !== "") note(written.trimEnd());
    // the answer to this very task
    if (reply !== undefined) return reply as Exclude<Reply, { readonly answer: unknown }>;
    const isLate = performance.now() - started >= seconds * 1000;
    return { reason: isLate ? `webgpu gave no answer within ${seconds} s` : `webgpu could not be asked: ${end}` };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", kill);
    kill();
  }
}

const isSource = import.meta.url.endsWith(".ts");

function childProgram(): URL {
  return new URL(isSource ? "child.ts" : "child.js", import.meta.url);
}

/** Sources need their loader. */
function nodeArguments({ pathname }: URL): string[] {
  return pathname.endsWith(".ts") ? ["--conditions=@polyllama/source", "--import", import.meta.resolve("tsx")] : [];
}
