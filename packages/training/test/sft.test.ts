import { readFileSync } from "node:fs";
import { type ChatMessage, encodeChat, type Tokenizer, tokenizerFromSentencePiece } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import { describe, expect, test } from "vitest";
import { DataError, type Example, encodeDialogue, ghostSampling, ghostTraining, packExamples } from "../src/index.ts";

const system = (content: string): ChatMessage => ({ role: "system", content });
const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });

/** The text of what counts, and of what does not. */
function partsOf(tokenizer: Tokenizer, { ids, counts }: Example): readonly (readonly [counts: number, text: string])[] {
  const parts: { count: number; ids: number[] }[] = [];
  for (const [i, id] of ids.entries()) {
    const count = counts[i]!; // as many as ids
    if (parts.at(-1)?.count !== count) parts.push({ count, ids: [] });
    parts.at(-1)!.ids.push(id); // the one that was just put there
  }
  return parts.map((part) => [part.count, tokenizer.decode(part.ids, { special: true, continuing: true })]);
}

const tokenizer = tinyTokenizer();

describe("a dialogue for fine-tuning", () => {
  test("counts answers and the EOS behind them, and nothing else", () => {
    const messages = [system("s"), user("hello"), assistant("world"), user("hell"), assistant("he")];
    const example = encodeDialogue(tokenizer, { messages });
    expect(partsOf(tokenizer, example)).toEqual([
      [0, "<s> [INST] <<SYS>>\ns\n<</SYS>>\n\nhello [/INST]"],
      [1, " world </s>"],
      [0, "<s> [INST] hell [/INST]"],
      [1, " he </s>"],
    ]);
    const last = encodeDialogue(tokenizer, { messages, answers: "last" });
    expect(last.ids).toEqual(example.ids);
    expect(partsOf(tokenizer, last).filter(([count]) => count === 1)).toEqual([[1, " he </s>"]]);
  });

  test("has the tokens that generation sees", () => {
    const messages = [user("hello"), assistant("world"), user("hell")];
    const { ids } = encodeDialogue(tokenizer, { messages: [...messages, assistant("he")] });
    const prompt = encodeChat(tokenizer, messages);
    expect(ids.slice(0, prompt.length)).toEqual(prompt);
    const answer = tokenizer.decode(ids.slice(prompt.length), { special: true, continuing: true });
    expect(answer).toBe(" he </s>");
  });

  test("a token that is of question and answer counts as the answer's", () => {
    const joining = tinyTokenizer([
      { piece: "]▁", score: 0 },
      { piece: "▁", score: -1 },
    ]);
    const example = encodeDialogue(joining, { messages: [user("a"), assistant("b")] });
    expect(partsOf(joining, example)).toEqual([
      [0, "<s> [INST] a [/INST"],
      [1, "] b </s>"],
    ]);
  });

  test("targets of a packed one are its answers", () => {
    const example = encodeDialogue(tokenizer, { messages: [user("hello"), assistant("world")] });
    const [packed] = packExamples([example], { length: 64, examples: "whole" });
    const targets = [...packed!.targets].filter((id) => id >= 0);
    expect(targets).toEqual(example.ids.filter((_, i) => example.counts[i] === 1));
    expect(targets.length).toBeLessThan(packed!.targets.length);
  });

  test("that the format refuses is refused with its place, where it has one", () => {
    const place = { file: "a.jsonl", line: 7 };
    const messages = [user("[INST]"), assistant("b")];
    const refused = (): unknown => encodeDialogue(tokenizer, { messages, place });
    expect(refused).toThrow(DataError);
    expect(refused).toThrow(/^a\.jsonl, line 7: Message 0 contains "\[INST\]".*trusted\.$/);
    expect(() => encodeDialogue(tokenizer, { messages })).toThrow(expect.objectContaining({ code: "ERR_CHAT" }));
    expect(encodeDialogue(tokenizer, { messages, place }, { allowMarkers: true }).ids.length).toBeGreaterThan(2);
    expect(() => encodeDialogue(tokenizer, { messages: [user("a")] })).toThrow("ends with a message of the assistant");
    expect(() => encodeDialogue(tokenizer, { messages: [] })).toThrow("there is no user message");
  });
});

describe("Ghost Attention", () => {
  const instruction = "Answer in Chinese.";
  const messages = [system("s"), user("one"), assistant("一"), user("two"), assistant("二")];

  test("samples with the instruction in every turn of the user", () => {
    expect(ghostSampling(messages, instruction)).toEqual([
      system("s"),
      user(`${instruction}\n\none`),
      assistant("一"),
      user(`${instruction}\n\ntwo`),
      assistant("二"),
    ]);
  });

  test("trains with the instruction in the first alone, and the last answer alone", () => {
    const dialogue = ghostTraining(messages, instruction);
    expect(dialogue.messages).toEqual([
      system("s"),
      user(`${instruction}\n\none`),
      assistant("一"),
      user("two"),
      assistant("二"),
    ]);
    const example = encodeDialogue(tokenizer, dialogue);
    expect(partsOf(tokenizer, example)).toEqual([
      [
        0,
        expect.stringMatching(
          /^<s> \[INST\] <<SYS>>[\s\S]*Answer in Chinese\.\n\none \[\/INST\] 一 <\/s><s> \[INST\] two/,
        ),
      ],
      [1, " 二 </s>"],
    ]);
  });

  test("changes nothing that it was given", () => {
    const given = structuredClone(messages);
    ghostSampling(given, instruction);
    ghostTraining(given, instruction);
    expect(given).toEqual(messages);
    expect(() => ghostTraining(given, "")).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", option: "instruction" }),
    );
  });
});

describeWithShared("vocabularies of Llama 2 and its Chinese models", () => {
  test.each(["llama2", "chinese-llama-2"])(
    "%s has a border between question and answer, so that prompts are generation's",
    (name) => {
      const path = shared(`tokenizers/${name}.model`);
      const llama = tokenizerFromSentencePiece(readFileSync(path), path);
      for (const answer of ["Yes.", "  two", "一", "\n\nlist", "]", "1", "🙂", "[/x"]) {
        const messages = [user("Why?"), assistant(answer), user(answer)];
        const { ids } = encodeDialogue(llama, { messages: [...messages, assistant(answer)] });
        const prompt = encodeChat(llama, messages);
        expect(ids.slice(0, prompt.length), answer).toEqual(prompt);
      }
    },
  );
});
