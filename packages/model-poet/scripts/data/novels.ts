// Chinese novels: a title line, then chapters of paragraphs, each a line of its own.

import type { Section } from "./document.ts";

const chapter = /^(第[一二三四五六七八九十百零〇]{1,6}回|楔子|引首)(?=[\s\u3000])/;

/** What a sentence may hold; others have lost characters, or hold what a web page put in, and are left out. */
const prose = /^[\p{Script=Han}，。：；、？！“”‘’—…《》（）【】·]+$/u;

const signs: ReadonlyMap<string, string> = new Map([
  ["．", "。"],
  ["∶", "："],
  [",", "，"],
  [":", "："],
  [";", "；"],
  ["!", "！"],
  ["「", "“"],
  ["」", "”"],
  ["『", "‘"],
  ["』", "’"],
]);

/** The chapters of a novel. */
export function readNovel(text: string): readonly Section[] {
  const sections: { heading: string; paragraphs: string[] }[] = [];
  for (const line of text.split("\n")) {
    if (chapter.test(line)) sections.push({ heading: line.trim().replace(/[\s\u3000]+/g, " "), paragraphs: [] });
    else {
      const sentences = withChinesePunctuation(line).match(/[^。！？]+[。！？]*[”’]*/g) ?? [];
      const paragraph = sentences.filter((sentence) => prose.test(sentence)).join("");
      if (paragraph !== "") sections.at(-1)?.paragraphs.push(paragraph);
    }
  }
  return sections;
}

/** One text is typed with `．` for a full stop and "`凸-" for ‘凸’, others with several kinds of quotation marks. */
function withChinesePunctuation(paragraph: string): string {
  let open = false;
  return paragraph
    .replace(/[\s\u3000]+/g, "")
    .replace(/`([^`-]{1,40})-/g, "‘$1’")
    .replace(/[．∶,:;!「」『』]/g, (sign) => signs.get(sign) ?? sign)
    .replace(/[─－-]+|_{2,}/g, "——")
    .replace(/[“”"]/g, () => {
      open = !open;
      return open ? "“" : "”";
    });
}
