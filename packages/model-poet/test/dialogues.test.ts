import type { ChatMessage } from "@polyllama/core";
import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import { encodeDialogue } from "@polyllama/training";
import { describe, expect, test } from "vitest";
import { anyForm, createChatCorpus } from "../scripts/chat/corpus.ts";
import { chatDialogue } from "../scripts/chat/dialogues.ts";
import { ghostDialogue, heldDialogue } from "../scripts/chat/ghost.ts";
import { withoutHeldOut } from "../scripts/chat/held-out.ts";
import { instructed } from "../scripts/chat/instructions.ts";
import { isObeyed, judgedInstructions } from "../scripts/chat/judge.ts";
import { passagesOf } from "../scripts/chat/passages.ts";
import { poemOf } from "../scripts/chat/poems.ts";
import { createRandom } from "../scripts/chat/random.ts";
import { documentHash } from "../scripts/data/clean.ts";
import { smallCorpus, smallDocuments } from "./small-corpus.ts";

const tokenizer = tinyTokenizer();
const limits = { tokenizer, length: 2048 };

const contents = (messages: readonly ChatMessage[], role: string): readonly string[] =>
  messages.filter((message) => message.role === role).map(({ content }) => content);

describe("a poem", () => {
  const document = (body: string) => poemOf({ title: "", text: `山行\n李甲\n${body}\n`, body });

  test("has a verse on each line", () => {
    expect(document("床前明月光，疑是地上霜。\n举头望明月，低头思故乡。")).toEqual({
      title: "山行",
      author: "李甲",
      verses: ["床前明月光，", "疑是地上霜。", "举头望明月，", "低头思故乡。"],
    });
  });

  test("of verses that differ in length, or of two, is left out", () => {
    expect(document("床前明月光，疑是地上霜。\n举头望月，低头思故乡。")).toBeUndefined();
    expect(document("床前明月光，疑是地上霜。")).toBeUndefined();
  });
});

describe("passages", () => {
  test("are two sentences of a paragraph, and cut neither quotations nor titles", () => {
    const text = [
      `"Come in," said Mr. Fox to the goose. "Dinner is ready for you."`,
      `She did not believe him at all. "Good day," said she, "I must go." Then she flew away over the wood.`,
      `"I have lost her. She was so fat," he said.`,
    ].join("\n\n");
    const [first, ...others] = passagesOf({ title: "", text, body: text }, "english");
    expect(first?.text).toBe(`"Come in," said Mr. Fox to the goose. "Dinner is ready for you."`);
    expect(first?.next).toBe(others[0]);
    expect(others.map((passage) => passage.text)).toEqual([
      `She did not believe him at all. "Good day," said she, "I must go."`, // the third sentence is too short alone
      `"I have lost her. She was so fat," he said.`,
    ]);
  });

  test("of a novel end with their quotation", () => {
    const text = "那人问道：“你是何人？快快报上名来。”众人都不答话。只见一人走出来。\n";
    expect(passagesOf({ title: "", text, body: text }, "chinese").map((passage) => passage.text)).toEqual([
      "那人问道：“你是何人？快快报上名来。”",
      "众人都不答话。只见一人走出来。",
    ]);
  });
});

test("held-out documents are in no dialogue", () => {
  const [poem] = smallDocuments.poems;
  if (poem === undefined) throw new TypeError("There is no poem.");
  const sources = new Map([["poems", { training: smallDocuments.poems, validation: [] }] as const]);
  expect(withoutHeldOut(sources, {}).training.poems).toHaveLength(smallDocuments.poems.length);
  expect(() => withoutHeldOut(sources, { poems: [{ hash: documentHash(poem) }] })).toThrow(
    `${poem.title} is a held-out`,
  );
});

describe("dialogues for fine-tuning", () => {
  const dialogues = Array.from({ length: 400 }, (_, seed) => chatDialogue(smallCorpus, createRandom(seed)));

  test("come from their seed, with one to six questions, each answered", () => {
    expect(chatDialogue(smallCorpus, createRandom(7))).toEqual(dialogues[7]);
    const counts = new Set(dialogues.map((messages) => contents(messages, "user").length));
    expect([...counts].sort()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const messages of dialogues) {
      const roles = messages.map(({ role }) => role).join(" ");
      expect(roles).toMatch(/^(system )?user assistant( user assistant)*$/);
      expect(encodeDialogue(tokenizer, { messages }).ids.length).toBeGreaterThan(2);
    }
  });

  test("are answered by texts of the corpora", () => {
    const { poems, prose } = smallCorpus;
    const verses = Object.values(poems).flatMap(({ all }) => all.flatMap((poem) => poem.verses));
    const texts = new Set([
      ...Object.values(poems).flatMap(({ all }) => all.map((poem) => poem.verses.join("\n"))),
      ...verses,
      ...Object.values(prose).flatMap(({ all }) => all.map(({ text }) => text)),
      ...["李甲。", "王乙。"],
    ]);
    const others = new Set(dialogues.flatMap((each) => contents(each, "assistant")).filter((text) => !texts.has(text)));
    expect([...others].filter((text) => !/^(I am|我是)/.test(text))).toEqual([]); // what it says of itself
  });

  test("name a language or a number of lines in their last question alone", () => {
    const named = /(four|eight) lines|四句就|要四句|用四句|八句|Answer in|^In (Chinese|English)|用中文|用英文/i;
    const found = dialogues.map((messages) => contents(messages, "user").map((text) => named.test(text)));
    expect(found.filter((each) => each.includes(true)).length).toBeGreaterThan(20);
    expect(found.filter((each) => each.slice(0, -1).includes(true))).toEqual([]);
  });

  test("seldom have four lines where no number was named", () => {
    const random = createRandom(1);
    const forms = Array.from({ length: 1000 }, () => anyForm(random));
    const four = forms.filter((form) => form === "four").length;
    expect(four).toBeGreaterThan(100);
    expect(four).toBeLessThan(200);
  });
});

describe("instructions", () => {
  test.each(judgedInstructions)("%s: answers obey, and requests do not name it", (name) => {
    const { instruction, next } = instructed(name, smallCorpus, createRandom(3));
    const exchanges = Array.from({ length: 50 }, next);
    for (const { request, answer } of exchanges) {
      expect(isObeyed(name, answer)).toBe(true);
      expect(request).not.toContain(instruction);
      expect(request).not.toMatch(/Chinese|English|four|四|中文|英文/);
    }
    // A request in the other language is what would be answered otherwise.
    if (name !== "four-lines") expect(exchanges.filter(({ request }) => isObeyed(name, request))).toEqual([]);
  });

  test("a manner is one author's throughout", () => {
    const { instruction, next } = instructed("manner", smallCorpus, createRandom(5));
    const author = ["李甲", "王乙"].find((name) => instruction.includes(name));
    const own = Object.values(smallCorpus.poems).flatMap(({ all }) => all.filter((poem) => poem.author === author));
    const texts = own.map(({ verses }) => verses.join("\n"));
    expect(texts).not.toEqual([]);
    for (const { answer } of Array.from({ length: 20 }, next)) expect(texts).toContain(answer);
  });
});

describe("Ghost Attention's dialogues", () => {
  const pairs = Array.from({ length: 200 }, (_, seed) => ghostDialogue(smallCorpus, createRandom(seed), limits));
  const instructedPairs = pairs.filter(({ ghost, plain }) => ghost !== plain);

  test("have the instruction once, and without it in every question", () => {
    expect(instructedPairs.length).toBeGreaterThan(120);
    expect(instructedPairs.length).toBeLessThan(pairs.length);
    for (const { ghost, plain } of instructedPairs) {
      const asked = contents(plain, "user");
      const [instruction = ""] = (asked[0] ?? "").split("\n\n");
      expect(asked.filter((text) => !text.startsWith(`${instruction}\n\n`))).toEqual([]);
      const before = [...contents(ghost, "system"), ...contents(ghost, "user")];
      expect(before.filter((text) => text.startsWith(instruction))).toHaveLength(1);
      expect(before[0]?.startsWith(instruction)).toBe(true);
      expect(contents(ghost, "assistant")).toEqual(contents(plain, "assistant"));
    }
  });

  test("train the same tokens in both forms: those of the last answer", () => {
    const trained = (messages: readonly ChatMessage[]): readonly number[] => {
      const { ids, counts } = encodeDialogue(tokenizer, { messages, answers: "last" });
      return ids.filter((_, at) => counts[at] === 1);
    };
    for (const { ghost, plain } of pairs) {
      const answer = contents(ghost, "assistant").at(-1) ?? "";
      expect(tokenizer.decode(trained(ghost), { continuing: true }).trim()).toBe(answer);
      expect(trained(plain)).toEqual(trained(ghost));
    }
  });

  test("have up to twenty later turns, as many as fit", () => {
    const turns = instructedPairs.map(({ ghost }) => contents(ghost, "user").length);
    expect(Math.min(...turns)).toBe(2);
    expect(Math.max(...turns)).toBeGreaterThan(6);
    const roomy = { tokenizer, length: 100_000 };
    const all = Array.from({ length: 200 }, (_, seed) => ghostDialogue(smallCorpus, createRandom(seed), roomy));
    const lengths = all.map(({ ghost }) => contents(ghost, "user").length);
    expect(Math.max(...lengths)).toBe(21);
    for (const { ghost, plain } of instructedPairs.filter(({ ghost: each }) => contents(each, "user").length > 2))
      for (const messages of [ghost, plain])
        expect(encodeDialogue(tokenizer, { messages }).ids.length - 1).toBeLessThanOrEqual(limits.length);
  });

  test("to be judged by have requests alone", () => {
    const held = heldDialogue("english", smallCorpus, createRandom(2), 20);
    expect(held.requests).toHaveLength(20);
    expect(heldDialogue("english", smallCorpus, createRandom(2), 20)).toEqual(held);
  });

  test("of corpora without what they ask for are an error", () => {
    const empty = createChatCorpus({ poems: [], english: [], novels: [] }, 1);
    expect(() => heldDialogue("four-lines", empty, createRandom(1), 1)).toThrow(RangeError);
  });
});
