// Chinese novels: a title line, then chapters of paragraphs, each a line of its own.

import type { Section } from "./document.ts";

const chapter = /^(第[一二三四五六七八九十百零〇]{1,6}回|楔子|引首)(?=[\s\u3000])/;

/** The chapters of a novel. */
export function readNovel(text: string): readonly Section[] {
  const sections: { heading: string; paragraphs: string[] }[] = [];
  for (const line of text.split("\n")) {
    const paragraph = line.trim();
    if (chapter.test(line)) sections.push({ heading: paragraph.replace(/[\s\u3000]+/g, " "), paragraphs: [] });
    else if (paragraph !== "") sections.at(-1)?.paragraphs.push(withChinesePunctuation(paragraph));
  }
  return sections;
}

/** One text is typed with `．` for a full stop, and with quotation marks of several kinds. */
function withChinesePunctuation(paragraph: string): string {
  let open = false;
  return paragraph.replaceAll("．", "。").replace(/[“”"]/g, () => {
    open = !open;
    return open ? "“" : "”";
  });
}
