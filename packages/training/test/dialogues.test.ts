import { describe, expect, test } from "vitest";
import { DataError, type DialogueFormat, parseDialogue, readDialogues } from "../src/index.ts";

const place = { file: "data.jsonl", line: 3 };
const messagesOf = (line: object, format?: DialogueFormat) => {
  return parseDialogue(JSON.stringify(line), place, format).messages.map(({ role, content }) => `${role}: ${content}`);
};
const user = { role: "user", content: "one" };
const assistant = { role: "assistant", content: "two" };

describe("formats of dialogues", () => {
  test("OpenAI's", () => {
    const messages = [{ role: "system", content: "brief" }, user, { ...assistant, weight: 1 }, user, assistant];
    expect(messagesOf({ messages, tools: [] })).toEqual([
      "system: brief",
      "user: one",
      "assistant: two",
      "user: one",
      "assistant: two",
    ]);
  });

  test("ShareGPT's, with the system message in either place", () => {
    const turns = [
      { from: "human", value: "one" },
      { from: "gpt", value: "two" },
    ];
    expect(messagesOf({ id: "x", conversations: turns })).toEqual(["user: one", "assistant: two"]);
    expect(messagesOf({ conversations: turns, system: "" })).toEqual(["user: one", "assistant: two"]);
    const all = ["system: brief", "user: one", "assistant: two"];
    expect(messagesOf({ conversations: turns, system: "brief" })).toEqual(all);
    expect(messagesOf({ conversations: [{ from: "system", value: "brief" }, ...turns] })).toEqual(all);
  });

  test("Alpaca's, with an input, earlier turns and a system message where there are any", () => {
    const line = { instruction: "Translate.", input: "", output: "two" };
    expect(messagesOf(line)).toEqual(["user: Translate.", "assistant: two"]);
    expect(messagesOf({ ...line, input: "eins", system: "brief", history: [["a", "b"]] })).toEqual([
      "system: brief",
      "user: a",
      "assistant: b",
      "user: Translate.\neins",
      "assistant: two",
    ]);
  });

  test("lines know their places; blank ones are none", () => {
    const line = JSON.stringify({ messages: [user, assistant] });
    const found = [...readDialogues([line, "", ` ${line}\r`, " \t"], { file: "a.jsonl" })];
    expect(found.map((dialogue) => dialogue.place)).toEqual([
      { file: "a.jsonl", line: 1 },
      { file: "a.jsonl", line: 3 },
    ]);
    expect(found[1]!.messages).toEqual([user, assistant]); // there are two
  });
});

describe("a line that is no dialogue is refused by its field", () => {
  const openai = (...messages: unknown[]): object => ({ messages });
  test.each<readonly [object, string | undefined, string]>([
    [{ text: "one" }, undefined, "there is no field that tells its format"],
    [[1], undefined, "is not an object"],
    [{ messages: "one" }, "messages", "is not a list"],
    [openai(), "messages", "has no turns"],
    [openai({ role: "system", content: "brief" }), "messages", "has no turns"],
    [openai("one"), "messages[0]", "is not an object"],
    [openai({ content: "one" }), "messages[0].role", "is missing"],
    [openai({ role: "tool", content: "one" }), "messages[0].role", 'is "tool", and not one of system, user, assistant'],
    [openai({ role: "__proto__", content: "one" }), "messages[0].role", "and not one of"],
    [openai(user, { role: "assistant" }), "messages[1].content", "is missing"],
    [openai(user, { role: "assistant", content: null }), "messages[1].content", "is not a string"],
    [openai(user, { role: "assistant", content: " \n" }), "messages[1].content", "is empty"],
    [openai(user, user), "messages[1].role", "is a turn of the user where one of the assistant is expected"],
    [openai(assistant, user), "messages[0].role", "is a turn of the assistant where one of the user is expected"],
    [openai(user, assistant, user), "messages[2].role", "is a turn of the user that nobody answers"],
    [{ conversations: [{ from: "bing", value: "one" }] }, "conversations[0].from", "and not one of"],
    [{ conversations: [{ from: "human", value: 1 }] }, "conversations[0].value", "is not a string"],
    [{ instruction: "", output: "two" }, "instruction", "is empty"],
    [{ instruction: "one", input: 1, output: "two" }, "input", "is not a string"],
    [{ instruction: "one" }, "output", "is missing"],
    [{ instruction: "one", output: "two", history: [["a"]] }, "history[0]", "is not a pair of texts"],
    [{ instruction: "one", output: "two", history: [["a", ""]] }, "history[0][1]", "is empty"],
  ])("%j: %s", (line, field, problem) => {
    const refused = (): unknown => messagesOf(line);
    expect(refused).toThrow(DataError);
    expect(refused).toThrow(
      expect.objectContaining({ code: "ERR_DATA", ...place, field, message: expect.stringContaining(problem) }),
    );
    expect(refused).toThrow(`data.jsonl, line 3${field === undefined ? "" : `, ${field}`}: `);
  });

  test("text that is not JSON, and a format that the line does not have", () => {
    const lines = [JSON.stringify({ messages: [user, assistant] }), "{"];
    const all = (): unknown => [...readDialogues(lines, { file: "a.jsonl" })];
    expect(all).toThrow(expect.objectContaining({ code: "ERR_DATA", file: "a.jsonl", line: 2, field: undefined }));
    expect(() => messagesOf({ messages: [user, assistant] }, "sharegpt")).toThrow("conversations: is missing");
    const wrong = (): unknown => [...readDialogues(lines, { file: "a.jsonl", format: "chatml" as DialogueFormat })];
    expect(wrong).toThrow(expect.objectContaining({ code: "ERR_OPTION", option: "format" }));
  });
});
