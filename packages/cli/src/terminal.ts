// Writing to a terminal, and to what is none.

import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** The text in a style where the stream is a terminal with colours, else as it is. */
export function paint(stream: NodeJS.WriteStream, style: Style, text: string): string {
  return stream.isTTY && stream.hasColors() ? styleText(style, text, { validateStream: false }) : text;
}

/** A line on standard output. */
export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** A heading on standard output. */
export function heading(text: string): void {
  print(paint(process.stdout, "bold", text));
}

/** A line on standard error, for people who watch. */
export function note(line: string): void {
  process.stderr.write(`${paint(process.stderr, "dim", line)}\n`);
}

/** One JSON object on standard output; lists of numbers stand on one line. */
export function printJson(value: object): void {
  // Strings hold no line breaks of their own in JSON, so that this only meets lists.
  const lists = /\[\n\s+-?\d[^"[\]{}]*?\]/g;
  print(JSON.stringify(value, undefined, 2).replace(lists, (list) => list.replace(/\s+/g, " ")));
}
