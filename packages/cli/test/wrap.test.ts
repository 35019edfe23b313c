import stringWidth from "string-width";
import { expect, test } from "vitest";
import { createWrapper } from "../src/wrap.ts";

/** Wraps text that comes in pieces of `size` characters. */
function wrap(text: string, columns: number, size = text.length): string {
  const wrapper = createWrapper(() => columns);
  const characters = [...text];
  let result = "";
  for (let i = 0; i < characters.length; i += size) result += wrapper.push(characters.slice(i, i + size).join(""));
  return result + wrapper.end();
}

const tale = "Once upon a time there was a king who had a marvellously beautiful daughter.\n\nThe end,  he said.";

test("lines break between words, at 40 columns as at 12, whatever the pieces", () => {
  expect(wrap(tale, 40)).toBe(
    "Once upon a time there was a king who\nhad a marvellously beautiful daughter.\n\nThe end,  he said.",
  );
  for (const columns of [12, 40]) {
    for (const size of [1, 2, 3, 7]) expect(wrap(tale, columns, size)).toBe(wrap(tale, columns));
    for (const line of wrap(tale, columns).split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
    expect(wrap(tale, columns).split(/\s+/)).toEqual(tale.split(/\s+/));
  }
});

test("Chinese breaks between characters by their width, and no line begins with closing punctuation", () => {
  const poem = "床前明月光，疑是地上霜。举头望明月，低头思故乡。《静夜思》";
  for (const columns of [8, 9, 10, 11, 40]) {
    const lines = wrap(poem, columns, 1).split("\n");
    expect(lines.join("")).toBe(poem);
    for (const line of lines) {
      expect(stringWidth(line)).toBeLessThanOrEqual(columns);
      expect(line).not.toMatch(/^[，。》]|《$/);
    }
  }
  expect(wrap("月光moonlight", 10)).toBe("月光\nmoonlight");
});

test("a word longer than the line is cut; emoji and combined characters stay whole", () => {
  expect(wrap("a abcdefghijk", 5)).toBe("a\nabcde\nfghij\nk");
  const family = "👨‍👩‍👧";
  expect(wrap(`${family}${family}${family}`, 4, 1)).toBe(`${family}${family}\n${family}`);
  expect(wrap("cafe\u0301 au lait", 7, 1)).toBe("cafe\u0301 au\nlait");
});

test("indentation stays, spaces at a break go, tabs reach the next stop", () => {
  expect(wrap("if (x)\n    return  1;", 12)).toBe("if (x)\n    return\n1;");
  expect(wrap("a\tb", 40)).toBe("a       b");
});
