import { reference } from "@polyllama/backend-reference";
import { type ChatMessage, ContextOverflowError, encodeChat } from "@polyllama/core";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fitConversation, Llama } from "../src/index.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await Llama.load(poet, { backend: reference(), contextLength: 256 });
});
afterAll(() => llama.dispose());

const system: ChatMessage = { role: "system", content: "Be brief." };
const turns = (count: number, content = "Tell me more about the forest."): ChatMessage[] =>
  Array.from({ length: 2 * count + 1 }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content: `${i}. ${content}`,
  }));
const tokens = (messages: readonly ChatMessage[]): number => encodeChat(llama.tokenizer, messages).length;

describe("fitConversation", () => {
  test("leaves a conversation that fits as it is", async () => {
    const messages = [system, ...turns(1)];
    expect(await fitConversation(llama, messages)).toEqual({ messages, dropped: 0, promptTokens: tokens(messages) });
  });

  test("fits exactly: one token less of room keeps what one more drops", async () => {
    const messages = turns(2);
    const room = llama.contextLength - tokens(messages);
    expect((await fitConversation(llama, messages, { room })).dropped).toBe(0);
    expect((await fitConversation(llama, messages, { room: room + 1 })).dropped).toBe(2);
  });

  test.each([[[]], [[system]]])(
    "drops the oldest pairs, keeps the system message %j, and frees half",
    async (first) => {
      const messages = [...first, ...turns(30)];
      const fitted = await fitConversation(llama, messages);
      expect(fitted.messages.slice(0, first.length)).toEqual(first);
      const rest = fitted.messages.slice(first.length);
      expect(rest).toEqual(messages.slice(messages.length - rest.length));
      expect(rest[0]!.role).toBe("user");
      expect(fitted.dropped).toBe(messages.length - fitted.messages.length);
      expect(fitted.promptTokens).toBe(tokens(fitted.messages));
      expect(fitted.promptTokens).toBeLessThanOrEqual(llama.contextLength / 2);
      // No more than needed leaves: with the pair before, it would be too much.
      const before = messages.slice(messages.length - rest.length - 2);
      expect(tokens([...first, ...before])).toBeGreaterThan(llama.contextLength / 2);
    },
  );

  test("what stays can be answered", async () => {
    const { messages } = await fitConversation(llama, [system, ...turns(30)]);
    const pieces = [];
    for await (const piece of llama.chat(messages, { maxTokens: 2, ignoreEos: true })) pieces.push(piece);
    expect(pieces.at(-1)!.finish).toBe("length");
  });

  test("the last message stays where it leaves less than the room, and is refused where it does not fit at all", async () => {
    const long = (count: number): ChatMessage[] => [
      ...turns(1).slice(0, 2),
      { role: "user", content: "w ".repeat(count) },
    ];
    const fitted = await fitConversation(llama, long(100), { room: 200 });
    expect(fitted).toMatchObject({ dropped: 2, messages: [{ role: "user" }] });
    expect(fitted.promptTokens + 200).toBeGreaterThan(llama.contextLength);
    await expect(fitConversation(llama, long(400))).rejects.toThrow(ContextOverflowError);
  });

  test("an abort ends it at once, with the signal's reason, also while a template renders", async () => {
    const reason = new Error("enough");
    await expect(fitConversation(llama, turns(1), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    const template = { jinja: loops };
    const fitting = fitConversation(llama, turns(1), { template, signal: controller.signal });
    controller.abort(reason);
    await expect(fitting).rejects.toBe(reason);
  });

  test("refuses what is no option or no conversation", async () => {
    await expect(fitConversation(llama, turns(1), { room: -1 })).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(fitConversation(llama, turns(1), { rooms: 1 } as object)).rejects.toMatchObject({
      code: "ERR_OPTION",
    });
    await expect(fitConversation(llama, [system])).rejects.toMatchObject({ code: "ERR_CHAT" });
  });
});
