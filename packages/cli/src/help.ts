// Help beyond what commander prints by itself.

import type { Command } from "commander";

/** Examples at the end of a command's help: what to type, and what it does. */
export function addExamples(command: Command, examples: readonly (readonly [string, string])[]): Command {
  const lines = examples.map(([line, about]) => `  ${line}\n      ${about}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}
