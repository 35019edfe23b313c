// Writing to a terminal, and to what is none.

import { styleText } from "node:util";
import { printable } from "@polyllama/core";
import { createWrapper } from "./wrap.ts";

type Style = Parameters<typeof styleText>[0];

/** The text in a style where the stream is a terminal with colours, else as it is. */
function paint(stream: NodeJS.WriteStream, style: Style, text: string): string {
  return stream.isTTY && stream.hasColors() ? styleText(style, text, { validateStream: false }) : text;
}

/** A line on standard output; whatever characters a file's names have in it, the terminal is not steered by them. */
export function print(line = "", style?: Style): void {
  const text = printable(line);
  process.stdout.write(`${style === undefined ? text : paint(process.stdout, style, text)}\n`);
}

/** Text that a model wrote, on standard output: as it is, except that control characters cannot steer a terminal. */
export function writeText(text: string): void {
  process.stdout.write(process.stdout.isTTY ? withoutControls(text) : text);
}

function withoutControls(text: string): string {
  return text.replace(/[^\P{Cc}\t\n]/gu, printable);
}

/** Where text goes that comes piece by piece. */
export interface TextOutput {
  readonly write: (text: string) => void;
  /** Writes what is held back, and ends the line unless the text has done so. */
  readonly end: () => void;
}

/** Text that a model writes, on standard output as {@link writeText} has it; on a terminal wrapped at its width. */
export function createTextOutput(): TextOutput {
  const { stdout } = process;
  const wrapper = stdout.isTTY ? createWrapper(() => stdout.columns) : undefined;
  let last = "\n";
  return {
    write(text) {
      if (text === "") return;
      last = text.slice(-1);
      stdout.write(wrapper === undefined ? text : wrapper.push(withoutControls(text)));
    },
    end() {
      const rest = wrapper?.end() ?? "";
      stdout.write(last === "\n" ? rest : `${rest}\n`);
      last = "\n";
    },
  };
}

/** A heading on standard output. */
export function heading(text: string): void {
  print(text, "bold");
}

/** A line on standard error, for people who watch. */
export function note(line: string): void {
  process.stderr.write(`${paint(process.stderr, "dim", printable(line))}\n`);
}

/** One JSON object on standard output; lists of numbers stand on one line. */
export function printJson(value: object): void {
  // Strings hold no line breaks of their own in JSON, so that this only meets lists.
  const lists = /\[\n\s+-?\d[^"[\]{}]*?\]/g;
  print(JSON.stringify(value, undefined, 2).replace(lists, (list) => list.replace(/\s+/g, " ")));
}
