// What the poet's data are made of, and how long texts become documents.

export type SourceName = "english" | "novels" | "poems";

export interface PoetDocument {
  /** Where it comes from, for people. */
  readonly title: string;
  readonly text: string;
  /** The part that makes it what it is: two documents with the same one are the same. */
  readonly body: string;
}

/** A chapter or tale. */
export interface Section {
  /** Empty where it has none. */
  readonly heading: string;
  readonly paragraphs: readonly string[];
}

/**
 * Cuts a section to documents of about the same length at the ends of paragraphs.
 *
 * @param most Characters of a document, unless one paragraph is longer.
 */
export function cutSection(section: Section, from: string, between: string, most: number): readonly PoetDocument[] {
  const { heading, paragraphs } = section;
  const length = paragraphs.reduce((sum, { length }) => sum + length + between.length, heading.length);
  const count = Math.ceil(length / most);
  const parts: string[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const paragraph of [...(heading === "" ? [] : [heading]), ...paragraphs]) {
    const size = paragraph.length + between.length;
    const full = used + size / 2 > length / count && parts.length < count;
    if (full || used + size > most) {
      parts.push([]);
      used = 0;
    }
    parts.at(-1)?.push(paragraph);
    used += size;
  }
  return parts.map((part, index) => {
    const text = `${part.join(between)}\n`;
    const name = heading === "" ? from : `${from}, ${heading.replaceAll("\n", " ")}`;
    return { title: parts.length === 1 ? name : `${name} (${index + 1} of ${parts.length})`, text, body: text };
  });
}
