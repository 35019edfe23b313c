// A conversation on a terminal or from a pipe: messages and commands in turn, until the input ends.

import { type ChatMessage, ContextOverflowError, PolyllamaError } from "polyllama";
import { randomSeed } from "../options.ts";
import { summary } from "../stream.ts";
import { createTextOutput, note, print } from "../terminal.ts";
import { inOwnWords } from "../words.ts";
import { type ChatCommand, chatHelp, parseLine } from "./commands.ts";
import { type Input, readMessages } from "./input.ts";
import { answer, type Turn, type TurnContext, type TurnOptions } from "./turn.ts";

interface State {
  readonly system: string | undefined;
  /** User and assistant in turn. */
  readonly turns: readonly ChatMessage[];
}

export async function converse(context: TurnContext, system: string | undefined, options: TurnOptions): Promise<void> {
  const { signal } = context.interrupts;
  let state: State = { system, turns: [] };
  using input: Input = readMessages(context.interrupts);
  if (process.stdin.isTTY) note("/help lists what can be typed; Ctrl-D ends the conversation.");
  for (;;) {
    const entry = await input.next(signal);
    if (entry === undefined) return;
    const said = entry.plain ? parseLine(entry.text) : ({ kind: "message", content: entry.text } as const);
    if (said.kind === "unknown") {
      print(
        `There is no command /${said.name}. To send a message that begins with a slash, begin with two: //${said.name}`,
      );
      print("/help lists the commands.");
    } else if (said.kind === "command") {
      if (said.name === "exit") return;
      state = await command(said.name, said.argument, state, context, options);
    } else if (said.content.trim() !== "") state = await send(said.content, state, context, options);
  }
}

async function command(
  name: Exclude<ChatCommand, "send" | "exit">,
  argument: string,
  state: State,
  context: TurnContext,
  options: TurnOptions,
): Promise<State> {
  const { system, turns } = state;
  const last = turns.at(-2);
  switch (name) {
    case "help":
      for (const line of chatHelp()) print(line);
      return state;
    case "reset":
      return { ...state, turns: [] };
    case "system":
      if (argument !== "") return { ...state, system: argument };
      print(system ?? "There is no system message; /system TEXT sets one.");
      return state;
    case "undo":
      if (last === undefined) note("There is nothing to undo.");
      else note(`Forgotten: ${last.content}`);
      return { ...state, turns: turns.slice(0, -2) };
    case "retry":
      if (last === undefined) {
        note("There is nothing to answer again.");
        return state;
      }
      return send(
        last.content,
        { ...state, turns: turns.slice(0, -2) },
        context,
        { ...options, seed: randomSeed() },
        state,
      );
  }
}

/**
 * One message and its answer; returns the conversation that they leave behind, which is `otherwise` where there is no
 * answer.
 */
async function send(
  content: string,
  { system, turns }: State,
  context: TurnContext,
  options: TurnOptions,
  otherwise: State = { system, turns },
): Promise<State> {
  const beginning: readonly ChatMessage[] = system === undefined ? [] : [{ role: "system", content: system }];
  const output = createTextOutput();
  let turn: Turn;
  try {
    turn = await answer(context, [...beginning, ...turns, { role: "user", content }], options, {
      onDropped: (count) =>
        note(
          `The context is full: ${count === 2 ? "the oldest turn" : `the ${count / 2} oldest turns`} left the conversation.`,
        ),
      write: output.write,
    });
  } catch (error) {
    if (!(error instanceof PolyllamaError)) throw error;
    // A message that cannot be answered is as if it had not been sent.
    note(`error: ${inOwnWords(error)}`);
    if (error instanceof ContextOverflowError && !context.contextShift) {
      note(
        "The conversation has filled the context; /reset starts a new one, and --context-shift lets oldest turns leave.",
      );
    }
    return otherwise;
  }
  const { messages, result } = turn;
  if (result.pieces.length > 0) output.end();
  context.interrupts.signal.throwIfAborted();
  note(summary(result, [`seed ${options.seed}`]));
  if (result.text.trim() === "") return otherwise;
  return { system, turns: [...messages.slice(beginning.length), { role: "assistant", content: result.text }] };
}
