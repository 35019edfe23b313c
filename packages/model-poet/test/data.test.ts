import { textHash } from "@polyllama/training";
import { describe, expect, test } from "vitest";
import { cleanSource } from "../scripts/data/clean.ts";
import { cutSection, type PoetDocument } from "../scripts/data/document.ts";
import { readBook } from "../scripts/data/english.ts";
import { readNovel } from "../scripts/data/novels.ts";
import { readPoems } from "../scripts/data/poems.ts";

const sentence = "The old man went down to the river again, and nobody saw him go.";
const prose = (count: number): string => Array.from({ length: count }, (_, at) => `${at}. ${sentence}`).join(" ");

describe("poems", () => {
  test("are title, author and lines in simplified characters", () => {
    const { poems, leftOut } = readPoems(
      "春夜喜雨（其一）  二首\n杜甫\n好雨知時節，當春乃發生。\n隨風潛入夜，潤物細無聲。\n\n",
    );
    expect(poems).toEqual([
      {
        title: "春夜喜雨 二首, 杜甫",
        text: "春夜喜雨 二首\n杜甫\n好雨知时节，当春乃发生。\n随风潜入夜，润物细无声。\n",
        body: "好雨知时节，当春乃发生。\n随风潜入夜，润物细无声。",
      },
    ]);
    expect(leftOut).toBe(0);
  });

  test("with lost characters, notes of editors or parts missing are left out", () => {
    const wrong = [
      "題\n人名\n殘□掛陝北。",
      "題\n人名\n追車（一作「駕」）即與車。",
      "題\n人名\n沒有完",
      "題\n人名",
      "崔湜\n。",
    ];
    const { poems, leftOut } = readPoems([...wrong, "題\n李白\n床前明月光，疑是地上霜。"].join("\n\n"));
    expect(poems.map(({ title }) => title)).toEqual(["题, 李白"]);
    expect(leftOut).toBe(wrong.length);
  });
});

describe("novels", () => {
  test("are chapters of paragraphs; sentences with damage are left out", () => {
    const sections = readNovel(
      '《書》某人\n\n第一回  甲　　乙\n\n    此开卷第一回也．作者自云："借此也．"\n    话说?櫊坏了。好的还在。\n楔子 丙\n　　话说：\n',
    );
    expect(sections).toEqual([
      { heading: "第一回 甲 乙", paragraphs: ["此开卷第一回也。作者自云：“借此也。”", "好的还在。"] },
      { heading: "楔子 丙", paragraphs: ["话说："] },
    ]);
  });
});

describe("English books", () => {
  test("are chapters without what the digital edition added", () => {
    const book = [
      "The Project Gutenberg eBook",
      "*** START OF THE PROJECT GUTENBERG EBOOK X ***",
      "THE BOOK",
      "By Somebody",
      "CONTENTS",
      "CHAPTER I",
      "CHAPTER II",
      "CHAPTER III",
      "CHAPTER IV",
      "CHAPTER I\r",
      "THE RIVER",
      "[Illustration: a river]",
      `_Once_ upon a time there was a river, and it went by a town in which\nnobody had ever ${prose(5)}`,
      "* * * * *",
      "A verse,\nand another",
      "CHAPTER II",
      "Up the River 12\nDown the River 34",
      prose(6),
      "The raft went",
      "56 away from the shore.",
      "*** END OF THE PROJECT GUTENBERG EBOOK X ***",
      prose(9),
    ].join("\n\n");
    expect(readBook(book)).toEqual([
      {
        heading: "THE RIVER", // the last of many headings: the others may be a table of contents
        paragraphs: [
          `Once upon a time there was a river, and it went by a town in which nobody had ever ${prose(5)}`,
          "A verse,\nand another",
        ],
      },
      { heading: "CHAPTER II", paragraphs: [prose(6), "The raft went away from the shore."] },
    ]);
  });
});

describe("documents", () => {
  test("are cut at ends of paragraphs, about equally long", () => {
    const paragraphs = Array.from({ length: 30 }, (_, at) => `${at} ${sentence}`);
    const parts = cutSection({ heading: "TALE", paragraphs }, "book", "\n\n", 800);
    expect(parts.map(({ text }) => text.trimEnd()).join("\n\n")).toBe(["TALE", ...paragraphs].join("\n\n"));
    expect(parts.map(({ title }) => title)).toEqual([
      "book, TALE (1 of 3)",
      "book, TALE (2 of 3)",
      "book, TALE (3 of 3)",
    ]);
    const lengths = parts.map(({ text }) => text.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(800);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThan(2 * sentence.length);
    expect(cutSection({ heading: "", paragraphs: ["a"] }, "book", "\n", 800)).toEqual([
      { title: "book", text: "a\n", body: "a\n" },
    ]);
  });

  const document = (number: number, text = `${number} `.repeat(20) + prose(number % 7)): PoetDocument => ({
    title: `${number}`,
    text,
    body: text,
  });
  const options = { threshold: 0.8, ngram: 5, overlap: 8, heldOut: 5, validation: 3 };

  test("are held out by their content, whatever their order; what overlaps with them is not trained on", () => {
    const text = (number: number): string => textHash(`${number}`) + textHash(`${number} again`);
    const documents = Array.from({ length: 60 }, (_, number) => document(number, text(number)));
    const first = cleanSource(documents, options);
    const second = cleanSource([...documents].reverse(), options);
    const titles = (found: readonly PoetDocument[]): readonly string[] => found.map(({ title }) => title);
    expect(titles(first.heldOut)).toHaveLength(5);
    expect(titles(second.heldOut)).toEqual(titles(first.heldOut));
    expect(titles(second.validation)).toEqual(titles(first.validation));
    const apart = new Set(titles([...first.heldOut, ...first.validation]));
    expect(titles(first.training).filter((title) => apart.has(title))).toEqual([]);

    const held = first.heldOut[0]!.text;
    const around = document(99, `${"0123456789 and more words around".repeat(9)} ${held.slice(0, 40)}`);
    const with99 = cleanSource([...documents, around], { ...options, threshold: 1 });
    expect(titles(with99.heldOut)).toContain(first.heldOut[0]!.title);
    expect(titles(with99.training)).not.toContain("99");
    expect(with99.overlapping).toBeGreaterThan(first.overlapping);
  });

  test("with personal data or repeated are left out", () => {
    const { report } = cleanSource([document(1), document(1), document(2, "write to a@b.org")], options);
    expect(report.removed).toEqual({ "exact duplicate": 1, "near duplicate": 0, "personal data": 1 });
  });
});
