// Lines that become messages. One typed line is a message, unless it ends in a backslash or begins a block between
// lines of three quotes; what is pasted is taken as it is, with the line that is typed behind it.

export interface Entry {
  readonly text: string;
  /** Whether it may be a command: it was typed, on one line and outside a block. */
  readonly plain: boolean;
}

/** How a line ended: with Enter, with Alt-Enter, or within pasted text. */
export type LineEnd = "enter" | "continue" | "pasted";

export interface Assembler {
  /** Whether a message has begun and is not complete. */
  readonly pending: boolean;
  /** The message that this line completes. */
  add(line: string, end: LineEnd): Entry | undefined;
  /** What there is of a message, when no line follows. */
  rest(): Entry | undefined;
  clear(): void;
}

const quotes = '"""';

export function createAssembler(): Assembler {
  let lines: string[] = [];
  let isBlock = false;
  const clear = (): void => {
    lines = [];
    isBlock = false;
  };
  const complete = (): Entry => {
    const entry = { text: lines.join("\n"), plain: lines.length === 1 && !isBlock };
    clear();
    return entry;
  };
  return {
    get pending() {
      return lines.length > 0 || isBlock;
    },
    add(line, end) {
      let text = line;
      if (end !== "pasted") {
        if (lines.length === 0 && !isBlock && text.trimStart().startsWith(quotes)) {
          isBlock = true;
          text = text.trimStart().slice(quotes.length);
          if (text === "") return undefined;
        }
        if (isBlock && text.endsWith(quotes)) {
          const last = text.slice(0, -quotes.length);
          if (last !== "") lines.push(last);
          return complete();
        }
        if (!isBlock && end === "enter" && text.endsWith("\\")) {
          lines.push(text.slice(0, -1));
          return undefined;
        }
      }
      lines.push(text);
      return isBlock || end !== "enter" ? undefined : complete();
    },
    rest: () => (lines.length > 0 ? complete() : undefined),
    clear,
  };
}
