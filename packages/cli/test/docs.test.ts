// docs/cli.md ends with the help of every command, as the program prints it.
// `npx vitest run packages/cli/test/docs.test.ts -u` writes it anew.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import stringWidth from "string-width";
import { expect, test } from "vitest";
import { commandsOf } from "../src/examples.ts";
import { createInterrupts } from "../src/interrupts.ts";
import { createProgram } from "../src/program.ts";

const path = fileURLToPath(new URL("../../../docs/cli.md", import.meta.url));
const marker = "<!-- What follows is printed by the program. -->\n";

using interrupts = createInterrupts();
const program = createProgram(interrupts);
const commands = commandsOf(program);

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: () => 80,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.replace(/\n\nGlobal Options:\n(?: +-.*\n?| {5,}.*\n?)*/, "\n").trimEnd();
}

test("docs/cli.md has the help of every command", async () => {
  const before = (await readFile(path, "utf8")).split(marker)[0] ?? "";
  const sections = commands.map(({ name, command }) => `## ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`);
  await expect(`${before}${marker}\n${sections.join("\n")}`).toMatchFileSnapshot(path);
});

test("help fits 80 columns, and every command that does something has an example", () => {
  for (const { name, command } of commands) {
    const help = helpOf(command);
    for (const line of help.split("\n").filter((line) => !/^ {2}.*polyllama /.test(line))) {
      expect([name, line, stringWidth(line) <= 80]).toEqual([name, line, true]);
    }
    const isTopic = command.commands.length > 0 || name === "exit-codes";
    expect([name, isTopic || help.includes("\nExamples:\n  ")]).toEqual([name, true]);
    for (const [, example] of help.matchAll(/^ {2}.*?polyllama (.*)$/gm)) expect(example!.startsWith(name)).toBe(true);
  }
});
