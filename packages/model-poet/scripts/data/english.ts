// English books as their publishers' plain text: paragraphs between empty lines, and headings in capitals. What the
// digital edition added is left out: licence, notes of transcribers, marks of illustrations, tables of contents.

import type { Section } from "./document.ts";

const added =
  /Project Gutenberg|gutenberg\.org|^\[?Transcriber|^[[{]?Illustration|^Produced by|^\[[^\]]*\]$|^(list of|contents\b)/i;
const rule = /^[\s*·.\-—_=~#]*$/;
const pageNumber = /^[\d\s]+$/;
const shortest = 300;

/** The chapters or tales of a book, its front matter left out. */
export function readBook(text: string): readonly Section[] {
  const begin = /\*\*\* ?START OF[^\n]*\n/i.exec(text);
  const end = text.search(/\*\*\* ?END OF/i);
  const book = text.slice(begin === null ? 0 : begin.index + begin[0].length, end < 0 ? undefined : end);
  const sections: { heading: string; paragraphs: string[] }[] = [{ heading: "", paragraphs: [] }];
  let headings: string[] = [];
  for (const group of book.replace(/\r/g, "").split(/\n[ \t]*\n+/)) {
    const paragraph = tidy(group);
    if (paragraph === "" || rule.test(paragraph) || pageNumber.test(paragraph) || added.test(paragraph)) continue;
    if (isHeading(paragraph)) {
      headings.push(paragraph);
      continue;
    }
    if (isListOfPages(group)) continue;
    // Many headings in a row are a table of contents, of which only the last belongs to what follows.
    if (headings.length > 0)
      sections.push({ heading: headings.slice(headings.length > 4 ? -1 : -2).join("\n"), paragraphs: [] });
    headings = [];
    const { paragraphs = [] } = sections.at(-1) ?? {};
    const number = /^\d{1,3} (?=\p{Ll})/u.exec(paragraph); // of a page, within a paragraph that it cut in two
    if (number === null) paragraphs.push(paragraph);
    else paragraphs.push(`${paragraphs.pop() ?? ""} ${paragraph.slice(number[0].length)}`.trim());
  }
  return sections.filter(({ paragraphs }) => paragraphs.join("").length >= shortest);
}

/** Whether lines end with numbers of pages. */
function isListOfPages(group: string): boolean {
  const lines = group.trim().split(/\s*\n\s*/);
  return lines.filter((line) => /\S \d{1,3}$/.test(line)).length > lines.length / 2;
}

function isHeading(paragraph: string): boolean {
  const lines = paragraph.split("\n");
  if (paragraph.length > 90 || lines.length > 3) return false;
  if (lines.length === 1 && /^(chapter|book|part|story) ([ivxlc]+|\d+|one|two|the first)\b/i.test(paragraph))
    return true;
  return /\p{Lu}{3}/u.test(paragraph) && !/\p{Ll}/u.test(paragraph) && !/[!?,;:"'’”]$/.test(paragraph);
}

/** One paragraph: a line if it was cut at a margin, its own lines if it is verse. */
function tidy(group: string): string {
  const lines = group
    .split("\n")
    .map((line) => line.replace(/\s+/g, " ").trim())
    .filter((line) => line !== "");
  const cut = lines.length > 1 && lines.slice(0, -1).every(({ length }) => length >= 55);
  return lines
    .join(cut ? " " : "\n")
    .replace(/[[{]Illustration[^\]}]*[\]}]/gi, "")
    .replace(/ ?\{[^}]*\}/g, "")
    .replace(/(?<![\w])_([^_\n]+)_(?![\w])/g, "$1")
    .replace(/ ?\[\d+\]/g, "")
    .trim();
}
