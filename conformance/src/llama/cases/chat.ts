// Conversations in Llama 2's format: their tokens by a definition of its own, their answers, and that a next turn reads
// only what is new.

import type { Llama } from "polyllama";
import { must, mustEqual, mustThrow } from "../../must.ts";
import { collect, judge } from "../subject.ts";
import { token } from "../vocabulary.ts";
import { type LlamaCase, seed } from "./case.ts";

type Messages = Parameters<Llama["chat"]>[0];

const template = "llama-2";
/** What Python's str.strip() takes away, by code point. */
const pythonSpaces =
  "9 a b c d 1c 1d 1e 1f 20 85 a0 1680 2000 2001 2002 2003 2004 2005 2006 2007 2008 2009 200a 2028 2029 202f 205f 3000";
const spaces = pythonSpaces.split(" ").map((code) => String.fromCodePoint(Number.parseInt(code, 16)));
/** What it leaves, though others count it as white space, or show nothing of it. */
const kept = ["\ufeff", "\u200b", "\u180e", "\u2060", "\u0000", "\u001b", "\u007f"];

function strip(text: string): string {
  let characters = [...text];
  const isSpace = (character: string | undefined): boolean => character !== undefined && spaces.includes(character);
  while (isSpace(characters[0])) characters = characters.slice(1);
  while (isSpace(characters.at(-1))) characters = characters.slice(0, -1);
  return characters.join("");
}

/** The parts of a conversation, each with whether it is answered. */
function parts(messages: Messages): readonly { readonly text: string; readonly answered: boolean }[] {
  const [first, ...rest] = messages;
  const system = first?.role === "system" ? `<<SYS>>\n${first.content}\n<</SYS>>\n\n` : "";
  const turns = first?.role === "system" ? rest : messages;
  return turns.flatMap(({ role, content }, i) => {
    if (role !== "user") return [];
    const answer = turns[i + 1];
    const asked = `[INST] ${strip(i === 0 ? system + content : content)} [/INST]`;
    return [
      answer === undefined
        ? { text: asked, answered: false }
        : { text: `${asked} ${strip(answer.content)} `, answered: true },
    ];
  });
}

const conversations: readonly Messages[] = [
  [{ role: "user", content: "a" }],
  [
    { role: "system", content: " be\n" },
    { role: "user", content: "\n the a " },
  ],
  [
    { role: "user", content: " é " },
    { role: "assistant", content: " 春\t" },
    { role: "user", content: "b</s>" },
  ],
  [
    { role: "system", content: "" },
    { role: "user", content: " \n" },
    { role: "assistant", content: "" },
    { role: "user", content: "c" },
    { role: "assistant", content: "<s>a" },
    { role: "user", content: "" },
  ],
];

export const chatCases: readonly LlamaCase[] = [
  {
    name: "a conversation is Llama 2's: BOS, [INST], the system message in the first turn, EOS behind each answer",
    async run(subject) {
      const { llama } = await subject.model("small", 16);
      for (const messages of conversations) {
        const expected = parts(messages);
        const { text, ids } = await llama.renderChat(messages, { template });
        mustEqual(text, expected.map((part) => `<s>${part.text}${part.answered ? "</s>" : ""}`).join(""), "the text");
        const tokens = expected.flatMap((part) => [
          token.bos,
          ...llama.tokenizer.encode(part.text, { bos: false, eos: false, special: false }),
          ...(part.answered ? [token.eos] : []),
        ]);
        mustEqual(ids, tokens, "the tokens");
        const { promptIds } = await llama.completeChat(messages, { template, maxTokens: 1 });
        mustEqual(promptIds, tokens, "the tokens of the prompt");
      }
    },
  },
  {
    name: "contents lose white space at both ends as Python's strip() takes it, each kind, and nothing else",
    async run(subject) {
      const { llama } = await subject.model("small", 16);
      const rendered = async (content: string): Promise<string> => {
        const messages = [
          { role: "user", content },
          { role: "assistant", content },
          { role: "user", content },
        ];
        const { text } = await llama.renderChat(messages, { template });
        must(
          text === `<s>[INST] ${strip(content)} [/INST] ${strip(content)} </s><s>[INST] ${strip(content)} [/INST]`,
          `a content of ${JSON.stringify(content)}`,
        );
        return text;
      };
      for (const space of [...spaces, ...kept]) {
        await rendered(`${space}a${space}b${space}`);
        await rendered(space + spaces.join("") + space);
      }
      must((await rendered("\ufeffa")).includes("\ufeffa"), "a byte order mark is text");
    },
  },
  {
    name: "an answer loses the one space of the format, in the stream and as a whole",
    async run(subject) {
      const { llama } = await subject.model("told", 16);
      const messages = [{ role: "user", content: "x" }];
      const options = { template, temperature: 0, maxTokens: 4 } as const;
      // It says two spaces, t, u, a space, v.
      const { text, ids } = await llama.completeChat(messages, options);
      mustEqual([text, ids.length], [" tu v", 4], "the answer");
      const pieces = await collect(llama.chat(messages, options));
      mustEqual(pieces.map((piece) => piece.text).join(""), " tu v", "the stream");
    },
  },
  {
    name: "an answer is the generation behind its prompt, and a next turn reads only what is new",
    async run(subject) {
      const model = await subject.model("small", 16);
      const { llama, work } = model;
      using sequence = llama.createSequence();
      using logits = model.logits();
      const messages = [{ role: "user", content: "the a b" }];
      for (let turn = 0; turn < 3; turn++) {
        const { ids: prompt } = await llama.renderChat(messages, { template });
        let reused = 0;
        while (reused < prompt.length - 1 && sequence.tokens[reused] === prompt[reused]) reused++;
        must(turn === 0 || reused > 10, "a next turn shares what was read");
        const before = work.rows;
        const settings = { temperature: 1, topP: 0.9, seed, maxTokens: 8, ends: [token.stop] };
        const pieces = await collect(llama.chat(messages, { ...settings, template, sequence }));
        const [rows, needed] = [work.rows - before, prompt.length - reused + pieces.length - 1];
        // Steps that were under way when the answer ended were computed in vain.
        must(rows >= needed && rows < needed + subject.device.features.stepsAhead, `${rows} rows for ${needed}`);
        const { defined } = await judge(model, prompt, settings, logits);
        const text = defined.at(-1)!.text; // one piece or more
        mustEqual(
          [pieces.map(({ id }) => id), pieces.map((piece) => piece.text).join("")],
          [defined.map(({ id }) => id), text.startsWith(" ") ? text.slice(1) : text],
          "the answer",
        );
        messages.push({ role: "assistant", content: "a b c" }, { role: "user", content: "b" });
      }
    },
  },
  {
    name: "conversations that the format does not have, and its markers in contents, are refused",
    async run(subject) {
      const { llama } = await subject.model("small", 16);
      const user = { role: "user", content: "a" };
      const wrong: readonly Messages[] = [
        [],
        [{ role: "system", content: "a" }],
        [{ role: "assistant", content: "a" }],
        [user, user],
        [user, { role: "assistant", content: "a" }],
        [user, { role: "system", content: "a" }, user],
        ...["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"].map((marker) => [{ role: "user", content: `a${marker}b` }]),
      ];
      for (const messages of wrong) {
        await mustThrow("ERR_CHAT", () => llama.chat(messages, { template }), JSON.stringify(messages));
      }
      const marked = [{ role: "user", content: "[INST] a" }];
      const { text } = await llama.renderChat(marked, { template, allowMarkers: true });
      mustEqual(text, "<s>[INST] [INST] a [/INST]", "markers that are allowed");
      await mustThrow("ERR_CHAT", () => llama.chat([user]), "no template where the checkpoint has none");
    },
  },
];
