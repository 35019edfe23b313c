// The first stage of Jinja's lexer, which the library has in a simpler form: white space around tags (trim_blocks,
// lstrip_blocks, `-` and `+`), comments, raw blocks, newlines and string literals, as Python reads them. What comes out
// is a template without any of these, in which every text and every literal is written in escapes that the library
// reads in one way only. Source: github.com/pallets/jinja, src/jinja2/lexer.py; transformers' `generation` tag:
// src/transformers/utils/chat_template_utils.py.

import { fail, unsupported } from "./budget.ts";
import { spaceCharacters } from "./space.ts";

/** The names by which the `generation` block, which only marks text for training, is called. */
export const generationName = "__generation__";

const space = `[${spaceCharacters}]`;
const spaces = new RegExp(`${space}*`, "y");
const onlySpaces = new RegExp(`^${space}+$`);
const rawBegin = new RegExp(`\\{%[-+]?${space}*raw${space}*(?:-%\\}${space}*|%\\})`, "y");
const rawEnd = new RegExp(`\\{%([-+]?)${space}*endraw${space}*(?:\\+%\\}|-%\\}${space}*|%\\}\\n?)`, "g");
const stringLiteral = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/sy;
const opening = /\{[%{#]/g;

/** @throws {TemplateError} where Python refuses the template's tags or literals */
export function normalizeSource(template: string): string {
  const source = template.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  const output: string[] = [];
  let at = 0;
  let lineStarting = true;

  const putText = (text: string): void => {
    if (text !== "") output.push(`{{ ${literal(text)} }}`);
  };
  /** The text before a tag, without the white space that the tag takes. */
  const before = (text: string, sign: string | undefined, isVariable: boolean): string => {
    if (sign === "-") return withoutTrailingSpace(text);
    if (sign === "+" || isVariable) return text;
    const line = text.lastIndexOf("\n") + 1;
    return (line > 0 || lineStarting) && onlySpaces.test(text.slice(line)) ? text.slice(0, line) : text;
  };
  const moveTo = (end: number): void => {
    at = end;
    lineStarting = source[end - 1] === "\n";
  };

  while (at < source.length) {
    opening.lastIndex = at;
    const found = opening.exec(source);
    if (found === null) {
      putText(source.slice(at));
      break;
    }
    const start = found.index;
    const kind = source[start + 1];
    const signed = source[start + 2];
    const sign = signed === "-" || signed === "+" ? signed : undefined;
    putText(before(source.slice(at, start), sign, kind === "{"));
    const inside = start + (sign === undefined ? 2 : 3);

    rawBegin.lastIndex = start;
    const raw = rawBegin.exec(source);
    if (raw !== null) {
      moveTo(start + raw[0].length);
      rawEnd.lastIndex = at;
      const end = rawEnd.exec(source) ?? fail("a raw block has no end");
      putText(before(source.slice(at, end.index), end[1], false));
      moveTo(end.index + end[0].length);
    } else if (kind === "#") {
      const end = source.indexOf("#}", inside);
      if (end < 0) fail("a comment has no end");
      const sign = end > inside && "-+".includes(source[end - 1]!) ? 1 : 0;
      moveTo(endOfTag(source, end - sign, "#}", true));
    } else {
      const close = kind === "{" ? "}}" : "%}";
      const { text, end } = readTag(source, inside, close);
      output.push(kind === "{" ? `{{ ${text} }}` : `{% ${statement(text)} %}`);
      moveTo(endOfTag(source, end, close, kind === "%"));
    }
  }
  // The library drops one line break at the end.
  return `${output.join("")}\n`;
}

/** Where a tag ends whose end mark, sign included, begins at `at`. */
function endOfTag(source: string, at: number, close: string, trims: boolean): number {
  const sign = source[at] === "-" || (source[at] === "+" && trims) ? source[at] : "";
  const end = at + (sign === "" ? 0 : 1) + close.length;
  if (sign === "-") {
    spaces.lastIndex = end;
    return end + (spaces.exec(source)?.[0].length ?? 0);
  }
  return trims && sign === "" && source[end] === "\n" ? end + 1 : end;
}

/** The content of a tag up to its end mark, which does not count within brackets and literals. */
function readTag(source: string, start: number, close: string): { readonly text: string; readonly end: number } {
  const parts: string[] = [];
  const open: string[] = [];
  for (let at = start; at < source.length; ) {
    if (open.length === 0) {
      const signed = source.startsWith(close, at + 1) && (source[at] === "-" || (source[at] === "+" && close === "%}"));
      if (signed || source.startsWith(close, at)) return { text: parts.join("").trim(), end: at };
    }
    const character = source[at]!;
    if (character === "'" || character === '"') {
      stringLiteral.lastIndex = at;
      const text = stringLiteral.exec(source)?.[0] ?? fail("a string has no end");
      parts.push(literal(pythonText(text.slice(1, -1))));
      at += text.length;
      continue;
    }
    spaces.lastIndex = at;
    const skipped = spaces.exec(source)?.[0].length ?? 0;
    if (skipped > 0) {
      parts.push(" ");
      at += skipped;
      continue;
    }
    if ("([{".includes(character)) open.push(character);
    else if (")]}".includes(character)) {
      const expected = open.pop();
      if (expected === undefined || "([{".indexOf(expected) !== ")]}".indexOf(character))
        fail(`unexpected "${character}"`);
    }
    parts.push(character);
    at++;
  }
  return fail(`a tag has no "${close}"`);
}

function statement(text: string): string {
  if (text === "generation") return `call ${generationName}()`;
  return text === "endgeneration" ? "endcall" : text;
}

/** A literal that the library reads as this text, whatever is in it. */
function literal(text: string): string {
  const escaped = (part: string): string =>
    Array.from({ length: part.length }, (_, i) => `\\u${part.charCodeAt(i).toString(16).padStart(4, "0")}`).join("");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
  return `"${text.replace(/["\\{%#}\u0000-\u001f]| {2,}/g, escaped)}"`;
}

const simpleEscapes: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const digitsOf: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** Python's escapes; what is none keeps its backslash. */
function pythonText(text: string): string {
  return text.replace(/\\([0-7]{1,3}|[xuU][0-9a-fA-F]*|.)/gs, (whole: string, sequence: string) => {
    const first = sequence[0]!;
    if (/[0-7]/.test(first)) return String.fromCharCode(Number.parseInt(sequence, 8));
    const digits = digitsOf[first];
    if (digits !== undefined) {
      const code = Number.parseInt(sequence.slice(1, 1 + digits), 16);
      if (sequence.length <= digits || code > 0x10ffff) fail(`"${whole}" is not an escape sequence`);
      return String.fromCodePoint(code) + sequence.slice(1 + digits);
    }
    if (first === "N") unsupported("an escape by a character's name");
    return simpleEscapes[first] ?? whole;
  });
}

function withoutTrailingSpace(text: string): string {
  let end = text.length;
  while (end > 0 && onlySpaces.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}
