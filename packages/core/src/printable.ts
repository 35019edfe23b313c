// Text from files, as it may be shown. Names of tensors, tokens and architectures are whatever a file says; on a
// terminal a control character moves the cursor, changes the title or hides what was printed, and a bidirectional
// override makes a line read otherwise than it is. What is shown has such characters as escapes.

/**
 * C0 and C1 but tab and line feed, line and paragraph separators, bidirectional marks, embeddings, overrides and
 * isolates.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with `\u001b` and the like in place of characters that steer a terminal. Line feeds and tabs stay. */
export function printable(text: string): string {
  return text.replace(unprintable, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A name between quotation marks, as JSON writes it; of a long one the beginning. */
export function quoted(name: string, most = 200): string {
  return printable(JSON.stringify(name.length > most ? `${name.slice(0, most)}...` : name));
}

/**
 * A value of a parsed file as text, without ever failing: a file may give an object any `toString`, and nest lists as
 * deep as it likes.
 */
export function plainText(value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => (typeof item === "object" ? "..." : String(item))).join();
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
