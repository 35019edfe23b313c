import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import { describe, expect, test } from "vitest";
import { type ChatMessage, encodeChat, encodeExchanges, PolyllamaError, renderChat } from "../src/index.ts";

const system = (content: string): ChatMessage => ({ role: "system", content });
const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });

describe("the format", () => {
  test("equals Meta's for one turn, several turns, and a system message", () => {
    expect(renderChat([user("hello")])).toBe("<s>[INST] hello [/INST]");
    expect(renderChat([user(" one\n"), assistant("\ttwo "), user("three")])).toBe(
      "<s>[INST] one [/INST] two </s><s>[INST] three [/INST]",
    );
    expect(renderChat([system(" be brief "), user("one "), assistant("two"), user("three")])).toBe(
      "<s>[INST] <<SYS>>\n be brief \n<</SYS>>\n\none [/INST] two </s><s>[INST] three [/INST]",
    );
  });

  test("white space is what Python strips", () => {
    expect(renderChat([user("\u3000\u001c\u0085x\ufeff\u200b\u00a0")])).toBe("<s>[INST] x\ufeff\u200b [/INST]");
    expect(renderChat([user(" \n ")])).toBe("<s>[INST]  [/INST]");
  });

  test("ids are BOS, the text of each pair, and EOS where it is answered", () => {
    const tokenizer = tinyTokenizer();
    const encode = (text: string): number[] => tokenizer.encode(text, { bos: false, eos: false });
    expect(encodeChat(tokenizer, [system("s"), user("hello"), assistant("world"), user("hell")])).toEqual([
      1,
      ...encode("[INST] <<SYS>>\ns\n<</SYS>>\n\nhello [/INST] world "),
      2,
      1,
      ...encode("[INST] hell [/INST]"),
    ]);
  });

  test("pairs of turns are those of a longer conversation, each with its prompt", () => {
    const tokenizer = tinyTokenizer();
    const messages = [system("s"), user("hello"), assistant("world"), user("hell"), assistant("he")];
    const pairs = encodeExchanges(tokenizer, messages);
    const ids = pairs.flatMap((pair) => pair.ids);
    const next = encodeChat(tokenizer, [user("he")]);
    expect([...ids, ...next]).toEqual(encodeChat(tokenizer, [...messages, user("he")]));
    expect(pairs.map(({ prompt }) => prompt)).toEqual([
      encodeChat(tokenizer, messages.slice(0, 2)),
      encodeChat(tokenizer, [user("hell")]),
    ]);
    for (const wrong of [[], [system("s")], [user("x")], [user("x"), user("y")]]) {
      expect(() => encodeExchanges(tokenizer, wrong)).toThrow(expect.objectContaining({ code: "ERR_CHAT" }));
    }
  });

  test("BOS and EOS in a content are text, whatever the tokenizer's file declares", () => {
    const tokenizer = tinyTokenizer(undefined, [
      ["tokenizer.ggml.add_bos_token", false],
      ["tokenizer.ggml.add_eos_token", true],
    ]);
    const ids = encodeChat(tokenizer, [user("a</s><s>b"), assistant("</s>"), user("<s>")]);
    expect(ids.filter((id) => tokenizer.isControl(id))).toEqual([1, 2, 1]);
    expect(tokenizer.decode(ids)).toContain("a</s><s>b");
  });
});

describe("the formats of Chinese-Alpaca", () => {
  const conversation = [user("甲"), assistant("乙"), user(" 丙 ")];

  test("the second generation's is Llama 2's, with a system message of its own", () => {
    const rest = "甲 [/INST] 乙 </s><s>[INST] 丙 [/INST]";
    const own = "You are a helpful assistant. 你是一个乐于助人的助手。";
    const options = { template: "chinese-alpaca-2" } as const;
    expect(renderChat(conversation, options)).toBe(`<s>[INST] <<SYS>>\n${own}\n<</SYS>>\n\n${rest}`);
    expect(renderChat([system("s"), ...conversation], options)).toBe(`<s>[INST] <<SYS>>\ns\n<</SYS>>\n\n${rest}`);
  });

  test("the first generation's has headings", () => {
    const options = { template: "chinese-alpaca" } as const;
    expect(renderChat(conversation, options)).toBe(
      "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" +
        "### Instruction:\n\n甲\n\n### Response:\n\n乙</s><s>### Instruction:\n\n丙\n\n### Response:\n\n",
    );
    expect(renderChat([user("[INST]")], options)).toContain("[INST]");
    expect(() => renderChat([user("### Response: x")], options)).toThrow(/Message 0 contains "### Response:"/);
  });

  test("an unknown name is refused", () => {
    const options = { template: "vicuna" };
    expect(() => renderChat(conversation, options as object)).toThrow(
      /template must be "llama-2", "chinese-alpaca-2" or/,
    );
  });
});

describe("what is refused", () => {
  const refused = (messages: unknown, message: RegExp): void => {
    const attempt = (): unknown => renderChat(messages as ChatMessage[]); // also what plain JavaScript may pass
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: "ERR_CHAT" }));
    expect(attempt).toThrow(PolyllamaError);
  };

  test("turns that do not alternate from user to user", () => {
    refused([], /there is no user message/);
    refused([system("s")], /there is no user message/);
    refused([assistant("x")], /Message 0 has the role "assistant" where "user"/);
    refused([user("x"), user("y")], /Message 1 has the role "user" where "assistant"/);
    refused([user("x"), system("y"), user("z")], /Message 1 has the role "system"/);
    refused([system("a"), system("b")], /Message 1 has the role "system" where "user"/);
    refused([user("x"), assistant("y")], /message 1 is not/);
    refused([{ role: "tool", content: "x" }], /Message 0 has the role "tool"/);
    refused([{ role: "user", content: 7 }], /content of message 0 is not a string/);
  });

  test.each(["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"])("%s within a content, unless allowed", (marker) => {
    refused([user(`x${marker}y`)], /Message 0 contains/);
    refused([system(marker), user("x")], /Message 0 contains/);
    refused([user("x"), assistant(marker), user("y")], /Message 1 contains/);
    expect(renderChat([user(`x${marker}y`)], { allowMarkers: true })).toBe(`<s>[INST] x${marker}y [/INST]`);
  });

  test("a tokenizer without BOS or EOS, and an unknown option", () => {
    for (const key of ["bos_token_id", "eos_token_id"]) {
      const tokenizer = tinyTokenizer(undefined, [[`tokenizer.ggml.${key}`, 0xffffffff]]);
      expect(() => encodeChat(tokenizer, [user("x")])).toThrow(expect.objectContaining({ code: "ERR_CHAT" }));
    }
    const options: object = { allowMarker: true };
    expect(() => renderChat([user("x")], options)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
  });
});
