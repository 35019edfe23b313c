// The messages of a conversation. On a terminal they are edited, with history, over as many lines as they need: text
// pasted into a terminal is marked by it as such (bracketed paste), and stays one message. From a pipe every line is
// one. What arrives while nobody waits, typed ahead, is kept.

import { createInterface, type Key } from "node:readline";
import { type Interrupts, unlessAborted } from "../interrupts.ts";
import { note } from "../terminal.ts";
import { createAssembler, type Entry } from "./assemble.ts";

export interface Input extends Disposable {
  /** The next message, or undefined at the end of the input. Rejects with the signal's reason. */
  next(signal: AbortSignal): Promise<Entry | undefined>;
}

const prompts = { first: "> ", more: "... " };
const marksPasted = { on: "\x1b[?2004h", off: "\x1b[?2004l" };

export function readMessages({ interrupt }: Pick<Interrupts, "interrupt">): Input {
  const { stdin, stdout } = process;
  const terminal = stdin.isTTY && stdout.isTTY;
  const reader = createInterface({
    input: stdin,
    ...(terminal && { output: stdout }),
    terminal,
    prompt: prompts.first,
  });
  const assembler = createAssembler();
  const waiting: Entry[] = [];
  let isAsking = false;
  let isPasting = false;
  let isContinuing = false;
  let wasWarned = false;
  let ended = false;
  let wake = (): void => {};

  const ask = (): void => {
    reader.setPrompt(assembler.pending ? prompts.more : prompts.first);
    reader.prompt(true);
  };
  reader.on("line", (line) => {
    wasWarned = false;
    const entry = terminal
      ? assembler.add(line, isPasting ? "pasted" : isContinuing ? "continue" : "enter")
      : { text: line, plain: true };
    if (entry !== undefined) waiting.push(entry);
    else if (isAsking) ask();
    wake();
  });
  reader.on("close", () => {
    ended = true;
    const rest = assembler.rest();
    if (rest !== undefined) waiting.push(rest);
    wake();
  });
  const onKey = (_text: string | undefined, key: Key): void => {
    if (key.name === "paste-start") isPasting = true;
    if (key.name === "paste-end") isPasting = false;
    if (key.meta && (key.name === "return" || key.name === "enter")) {
      isContinuing = true;
      reader.write(null, { name: "return" });
      isContinuing = false;
    }
  };
  // In raw mode the system reports no Ctrl-C. At an empty prompt the second one in a row leaves; else it takes back
  // what was typed.
  reader.on("SIGINT", () => {
    if (!isAsking) return interrupt();
    if (reader.line !== "" || assembler.pending) {
      wasWarned = false;
      assembler.clear();
      reader.write(null, { ctrl: true, name: "e" });
      reader.write(null, { ctrl: true, name: "u" });
    } else if (wasWarned) return interrupt();
    else {
      wasWarned = true;
      stdout.write("\n");
      note("Ctrl-C once more ends the conversation; so do Ctrl-D and /exit.");
    }
    ask();
  });
  const unmark = (): void => void (terminal && stdout.write(marksPasted.off));
  if (terminal) {
    stdin.on("keypress", onKey);
    stdout.write(marksPasted.on);
    process.on("exit", unmark);
  }

  const arrival = async (signal: AbortSignal): Promise<Entry | undefined> => {
    while (waiting.length === 0 && !ended) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await unlessAborted(woken, signal);
    }
    return waiting.shift();
  };
  return {
    async next(signal) {
      signal.throwIfAborted();
      if (terminal && waiting[0] !== undefined) stdout.write(`${prompts.first}${waiting[0].text}\n`);
      else if (terminal && !ended) ask();
      isAsking = true;
      try {
        const entry = await arrival(signal);
        if (terminal && entry === undefined) stdout.write("\n");
        return entry;
      } catch (error) {
        if (terminal) stdout.write("\n");
        throw error;
      } finally {
        isAsking = false;
      }
    },
    [Symbol.dispose]() {
      stdin.off("keypress", onKey);
      process.off("exit", unmark);
      unmark();
      reader.close();
    },
  };
}
