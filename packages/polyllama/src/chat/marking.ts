// Whose text is whose. Before rendering every character of the messages is marked, after it the marks are taken out
// again, and what remains are the places where a name of a token, had it been written by the template alone, would be a
// token, and is not because a message has part in it.

/** Fields of a message that are the program's own words, not somebody's text. */
const unmarkedFields = ["role", "type"];

/** The same value with a mark before and behind every character of its texts; keys stay as they are. */
export function marked(value: unknown, mark: string): unknown {
  if (typeof value === "string") return value === "" ? "" : mark + Array.from(value).join(mark) + mark;
  if (Array.isArray(value)) return value.map((entry) => marked(entry, mark));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, unmarkedFields.includes(key) ? entry : marked(entry, mark)]),
  );
}

export interface LiteralText {
  readonly text: string;
  /** Places that no token's name may span, as the tokenizers' option `literal` takes them. */
  readonly literal: readonly number[];
}

/** A rendered text without its marks, and the places of those that stand within one of the names. */
export function withoutMarks(rendered: string, mark: string, names: readonly string[]): LiteralText {
  const parts = rendered.split(mark);
  const text = parts.join("");
  const isMarked = new Uint8Array(text.length + 1);
  let place = 0;
  for (const part of parts.slice(0, -1)) {
    place += part.length;
    isMarked[place] = 1;
  }
  const literal = new Set<number>();
  const mentioned = keepWithin(text, isMarked, names, literal);
  // A tokenizer may normalize a text before it looks for names. Where that could make names, nothing of what it would
  // change is read so.
  const normalized = text.normalize("NFKC");
  if (normalized !== text && keepWithin(normalized, undefined, names, new Set()) > mentioned) {
    for (let at = 1; at < text.length; at++) {
      const beside = text[at - 1]! + text[at]!;
      if (isMarked[at] === 1 && beside.normalize("NFKC") !== beside) literal.add(at);
    }
  }
  return { text, literal: [...literal].sort((a, b) => a - b) };
}

/** Notes, for every name in the text, the first marked place within it. Returns how often names occur. */
function keepWithin(
  given: string,
  isMarked: Uint8Array | undefined,
  names: readonly string[],
  kept: Set<number>,
): number {
  const text = given.replaceAll("\u2581", " ");
  let count = 0;
  for (const name of names) {
    if (name.length < 2) continue;
    const spelling = name.replaceAll("\u2581", " ");
    for (let at = text.indexOf(spelling); at >= 0; at = text.indexOf(spelling, at + 1)) {
      count++;
      for (let place = at + 1; isMarked !== undefined && place < at + name.length; place++) {
        if (isMarked[place] === 0) continue;
        kept.add(place);
        break;
      }
    }
  }
  return count;
}
