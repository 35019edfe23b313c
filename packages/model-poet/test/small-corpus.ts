// A few texts as those of the poet's corpora: poems of three forms by two poets, tales, and chapters.

import { type ChatCorpus, createChatCorpus } from "../scripts/chat/corpus.ts";
import type { Documents } from "../scripts/chat/held-out.ts";
import type { PoetDocument } from "../scripts/data/document.ts";

function document(title: string, text: string): PoetDocument {
  return { title, text, body: text };
}

/** Verses of five characters, no two of a poem alike. */
function poem(title: string, author: string, verses: number): PoetDocument {
  const signs = Array.from("春夏秋冬风花雪月山水云雨");
  const lines = Array.from(
    { length: verses / 2 },
    (_, at) => `${signs[2 * at]}来人未归，${signs[2 * at + 1]}去客还思。`,
  );
  return document(`${title}, ${author}`, `${title}\n${author}\n${lines.join("\n")}\n`);
}

const poems = ["李甲", "王乙"].flatMap((author) =>
  ["月夜", "山行", "春日", "江雪"].flatMap((title) => [4, 8, 12].map((verses) => poem(title, author, verses))),
);

const tales = ["king", "horse", "moon"].map((word) =>
  document(
    word,
    [
      `THE ${word.toUpperCase()}`,
      `There was a ${word} that nobody in the land had seen. "It is far away," said Mr. Brown, and went home. ` +
        `Many years went by before the next visitor came. He asked everybody where the ${word} might be.`,
      `At last an old woman told him of the ${word}. "Go on, and do not look back," she said to him.`,
    ].join("\n\n"),
  ),
);

const chapters = ["马", "酒", "月"].map((sign) =>
  document(
    sign,
    `却说那日众人看见${sign}，都吃了一惊。“这是何处来的？”那人问道，却无人答他一句话。\n次日又见${sign}，众人大喜。于是一同回去了。\n`,
  ),
);

export const smallDocuments: Documents = { poems, english: tales, novels: chapters };

export const smallCorpus: ChatCorpus = createChatCorpus(smallDocuments, 1);
