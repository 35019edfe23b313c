// Classical Chinese poems: blocks of title, author and lines between empty lines, in traditional characters, which
// become simplified ones. Poems with what no poem holds, such as editors' notes and signs for lost characters, are left
// out.

import { Converter } from "opencc-js/t2cn";
import type { PoetDocument } from "./document.ts";

const verse = /^[\p{Script=Han}，。？！；、：]+$/u;
const signs = /[□○●〇〖〗〔〕{}⿰-⿻\ue000-\uf8ff]/u;

/** @returns The poems, and how many blocks were left out. */
export function readPoems(text: string): { poems: readonly PoetDocument[]; leftOut: number } {
  const simplify: (text: string) => string = Converter({ from: "t", to: "cn" });
  const blocks = simplify(text).split(/\n\s*\n/);
  const poems = blocks.flatMap((block) => poemOf(block) ?? []);
  return { poems, leftOut: blocks.filter((block) => block.trim() !== "").length - poems.length };
}

function poemOf(block: string): PoetDocument | undefined {
  const [first = "", author = "", ...lines] = block
    .trim()
    .split("\n")
    .map((line) => line.trim());
  const title = first
    .replace(/（[^）]*）|\[[^\]]*\]/g, "")
    .replace(/\s+/g, " ")
    .trim();
  const body = lines.join("\n");
  if (title === "" || lines.length === 0 || signs.test(block) || !/^[\p{Script=Han}、]{2,12}$/u.test(author))
    return undefined;
  if (/[（）A-Za-z\d[\]]/.test(title) || !lines.every((line) => verse.test(line)) || !/[。？！]$/.test(body))
    return undefined;
  return { title: `${title}, ${author}`, text: `${title}\n${author}\n${body}\n`, body };
}
