// Which places of a rendered text stay literal: within what spells a token, where a message had a part in it.

import { expect, test } from "vitest";
import { withoutMarks } from "../src/chat/marking.ts";

const mark = "\ue000";
const places = (rendered: string, ...names: readonly string[]) => withoutMarks(rendered, mark, names).literal;

test("the first marked place within a name is literal, and none without a name", () => {
  expect(withoutMarks(`a<${mark}|x|>${mark}`, mark, ["<|x|>"])).toEqual({ text: "a<|x|>", literal: [2] });
  expect(places(`<|x|>${mark}<|x|>`, "<|x|>")).toEqual([]);
  expect(places(`a${mark}b${mark}c`, "<|x|>")).toEqual([]);
});

test("a space and the sign that SentencePiece writes for it are one", () => {
  expect(places(`<|a\u2581${mark}b|>`, "<|a b|>")).toEqual([4]);
  expect(places(`<|a ${mark}b|>`, "<|a\u2581b|>")).toEqual([4]);
});

test("where normalizing makes a name, what it would change together stays apart", () => {
  expect(places(`x<e${mark}\u0301>`, "<é>")).toEqual([3]); // e and an acute accent
  expect(places(`${mark}x<e\u0301>`, "<é>")).toEqual([]); // the template's own
  expect(places(`<${mark}e\u0301> <é>`, "<e>")).toEqual([]);
});
