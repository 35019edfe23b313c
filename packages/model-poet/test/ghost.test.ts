import { describe, expect, test } from "vitest";
import { isObeyed } from "../scripts/chat/judge.ts";
import { type JudgedDialogue, type Played, play } from "../scripts/ghost/play.ts";
import { isHigher, shareAt, tableLines } from "../scripts/ghost/table.ts";
import { wilson } from "../scripts/ghost/wilson.ts";

describe("an answer obeys", () => {
  test.each([
    ["chinese", "却说那日，众人大喜。", true],
    ["chinese", "The king went home.", false],
    ["chinese", "国王 went home。", false],
    ["chinese", "", false],
    ["chinese", "。。。", false],
    ["english", "The king went home.", true],
    ["english", "却说那日，众人大喜。", false],
    ["english", "1234", false],
    ["four-lines", "甲，\n乙。\n\n丙，\n丁。\n", true],
    ["four-lines", "甲，乙。丙，丁。", false],
    ["four-lines", "甲，\n乙。\n丙，\n丁。\n戊，", false],
  ] as const)("%s: %j: %s", (name, answer, expected) => {
    expect(isObeyed(name, answer)).toBe(expected);
  });
});

test("Wilson's interval is that of the literature", () => {
  expect(wilson(0, 50)).toEqual({ low: 0, high: expect.closeTo(0.07135, 4) });
  expect(wilson(50, 50)).toEqual({ low: expect.closeTo(0.92865, 4), high: expect.closeTo(1, 12) });
  expect(wilson(5, 10)).toEqual({ low: expect.closeTo(0.23659, 4), high: expect.closeTo(0.76341, 4) });
});

describe("a dialogue that is played", () => {
  const dialogue: JudgedDialogue = { name: "chinese", instruction: "Chinese only.", requests: ["one", "two", "three"] };

  test("has the instruction in its first turn and the model's own answers", async () => {
    const seen: string[] = [];
    const answers = ["中文。", "English.", "中文。"];
    const { turns } = await play(dialogue, (messages) => {
      seen.push(messages.map(({ content }) => content).join("|"));
      return Promise.resolve(answers[seen.length - 1]);
    });
    expect(seen).toEqual([
      "Chinese only.\n\none",
      "Chinese only.\n\none|中文。|two",
      "Chinese only.\n\none|中文。|two|English.|three",
    ]);
    expect(turns.map(({ obeyed }) => obeyed)).toEqual([true, false, true]);
  });

  test("that fills the context obeys no more", async () => {
    let asked = 0;
    const { turns } = await play(dialogue, () => Promise.resolve(asked++ === 0 ? "中文。" : undefined));
    expect(asked).toBe(2);
    expect(turns.map(({ obeyed, answer }) => [obeyed, answer])).toEqual([
      [true, "中文。"],
      [false, undefined],
      [false, undefined],
    ]);
  });
});

test("the table counts dialogues that obey at a turn, and says where the intervals part", () => {
  const played = (...obeyed: readonly boolean[]): Played => ({
    instruction: "",
    turns: obeyed.map((each) => ({ request: "", answer: "", obeyed: each })),
  });
  const without = Array.from({ length: 10 }, (_, at) => played(true, at < 1));
  const ghost = Array.from({ length: 10 }, () => played(true, true));
  const row = { instruction: "chinese", turn: 2, without: shareAt(without, 2), with: shareAt(ghost, 2) } as const;
  const first = { ...row, turn: 1, without: shareAt(without, 1), with: shareAt(ghost, 1) };
  expect([row.without.obeyed, row.with.obeyed, row.with.dialogues]).toEqual([1, 10, 10]);
  expect([isHigher(first), isHigher(row)]).toEqual([false, true]);
  expect(tableLines([first, row]).slice(2)).toEqual([
    "| chinese | 1 | 10 of 10, 100 % (72 to 100) | 10 of 10, 100 % (72 to 100) | no |  |  |",
    "| chinese | 2 | 1 of 10, 10 % (2 to 40) | 10 of 10, 100 % (72 to 100) | yes | 100 % | 100 % |",
  ]);
});
