// White space and line breaks as Python's texts have them; JavaScript's `\s` and `trim` have others.

/** For use within the brackets of a regular expression. */
export const spaceCharacters = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const lineBreaks = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";

const space: RegExp = new RegExp(`[${spaceCharacters}]`);

export function isSpace(character: string): boolean {
  return space.test(character);
}

/** Where lines end, as `splitlines` cuts them. */
export const lineEnd: RegExp = new RegExp(`\\r\\n|[${lineBreaks}]`, "g");
/** What `split` without a separator cuts at. */
export const spaceRun: RegExp = new RegExp(`[${spaceCharacters}]+`, "g");
