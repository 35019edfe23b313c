// Where a text ends: by name, on texts that are known, and at random against the definition.

import type { FinishReason, GenerateOptions } from "polyllama";
import { mustEqual } from "../../must.ts";
import { random } from "../../random.ts";
import { collect, judge } from "../subject.ts";
import { promptOf, type ToldText } from "../told.ts";
import { token } from "../vocabulary.ts";
import { type LlamaCase, seed } from "./case.ts";

/** Of a told text, by options: the text that comes, why it ends, and after how many tokens. */
type Ending = readonly [ToldText, GenerateOptions, string, FinishReason, number];

// letters: ab cd ef </s> gh <|end|> ij <|stop|> kl <|shown|> mn op; bytes: x C3 A9 y E6 <unk> z; spelled: ▁q <| end |>
// r ▁s
const all = "abcdefghijkl<|shown|>mnop";
const endings: Readonly<Record<string, readonly Ending[]>> = {
  "end tokens end a text, each of several; ignoreEos ignores them all": [
    ["letters", {}, "abcdef", "eos", 4],
    ["letters", { ends: [token.end] }, "abcdefgh", "eos", 6],
    ["letters", { ends: [token.end, token.eos] }, "abcdef", "eos", 4],
    ["letters", { ends: [], maxTokens: 12 }, all, "length", 12],
    ["letters", { ignoreEos: true, maxTokens: 12 }, all, "length", 12],
    ["letters", { maxTokens: 3 }, "abcdef", "length", 3],
  ],
  "a stop string ends a text before it, also across tokens, of which some show nothing": [
    ["letters", { stop: "cd" }, "ab", "stop", 2],
    ["letters", { stop: "bc" }, "a", "stop", 2],
    ["letters", { stop: "bcde" }, "a", "stop", 3],
    ["letters", { stop: "ab" }, "", "stop", 1],
    ["letters", { stop: "fgh", ignoreEos: true }, "abcde", "stop", 5],
    ["letters", { stop: "l<|sho", ignoreEos: true }, "abcdefghijk", "stop", 10],
    ["letters", { stop: "" }, "abcdef", "eos", 4],
  ],
  "of several stop strings the one that begins first counts": [
    ["letters", { stop: ["zz", "de"] }, "abc", "stop", 3],
    ["letters", { stop: ["zz", "", "yy", "de"] }, "abc", "stop", 3],
    ["letters", { stop: ["de", "cdef"] }, "ab", "stop", 3],
    ["letters", { stop: ["cdeX", "de"] }, "abc", "stop", 3],
    ["letters", { stop: ["bcdX", "cd"] }, "ab", "stop", 3],
    ["letters", { stop: ["bcdX", "cd"], maxTokens: 2 }, "ab", "stop", 2],
  ],
  "text that is held for a stop string that does not come is not lost": [
    ["letters", { stop: "efX" }, "abcdef", "eos", 4],
    ["letters", { stop: ["fX", "cdefX"] }, "abcdef", "eos", 4],
    ["letters", { stop: "efX", maxTokens: 3 }, "abcdef", "length", 3],
    ["letters", { stop: "ijX", stopTokens: [token.stop], ignoreEos: true }, "abcdefghij", "stop", 8],
    ["letters", { stop: "efgX", ignoreEos: true, maxTokens: 5 }, "abcdefgh", "length", 5],
  ],
  "a stop string that is a control token's name stops at the token, and at text that spells it": [
    ["letters", { stop: "<|end|>", ignoreEos: true }, "abcdefgh", "stop", 6],
    ["letters", { stop: "</s>", ignoreEos: true }, "abcdef", "stop", 4],
    ["letters", { stop: "<|shown|>", ignoreEos: true }, "abcdefghijkl", "stop", 10],
    ["letters", { stop: ["ij<|stop|>", "<|stop|>"], ignoreEos: true }, "abcdefgh", "stop", 8],
    ["spelled", { stop: "<|end|>" }, " q", "stop", 4],
    ["spelled", { stop: "<|end|>", maxTokens: 3 }, " q<|end", "length", 3],
  ],
  "stop tokens, by id and by name, end a text, also where end tokens are ignored": [
    ["letters", { stopTokens: ["<|stop|>"], ignoreEos: true }, "abcdefghij", "stop", 8],
    ["letters", { stopTokens: [token.shown], ignoreEos: true }, "abcdefghijkl", "stop", 10],
    ["letters", { stopTokens: ["ef", 5] }, "abcd", "stop", 3],
  ],
  "characters in parts are given whole, and what never becomes one is U+FFFD": [
    ["bytes", { maxTokens: 3 }, "xé", "length", 3],
    ["bytes", { maxTokens: 2 }, "x\ufffd", "length", 2],
    ["bytes", { maxTokens: 7 }, "xéy\ufffd \u2047 z", "length", 7],
    ["bytes", { stop: "é" }, "x", "stop", 3],
    ["bytes", { stop: "\ufffd" }, "xéy", "stop", 6],
    ["bytes", { stop: "\ufffd", maxTokens: 5 }, "xéy", "stop", 5],
    ["bytes", { stop: "y\ufffd \u2047 z" }, "xé", "stop", 7],
  ],
};

/** Both where the device may choose tokens and where the host must. */
const ways: readonly GenerateOptions[] = [{}, { logprobs: 1 }];

export const endingCases: readonly LlamaCase[] = [
  ...Object.entries(endings).map(
    ([name, list]): LlamaCase => ({
      name,
      async run(subject) {
        const { llama } = await subject.model("told", 16);
        for (const [told, options, text, finish, count] of list) {
          for (const way of ways) {
            const pieces = await collect(llama.generate(promptOf(told), { temperature: 0, ...options, ...way }));
            const found = [pieces.map((piece) => piece.text).join(""), pieces.at(-1)?.finish, pieces.length];
            mustEqual(found, [text, finish, count], `${told} with ${JSON.stringify({ ...options, ...way })}`);
          }
        }
      },
    }),
  ),
  {
    name: "stop strings, stop tokens and ends at random end a text where its definition does",
    async run(subject) {
      const model = await subject.model("small", 16);
      const stream = random("endings", seed);
      const prompt = [token.bos, 263, 264, 270];
      for (let round = 0; round < 10; round++) {
        const base = { temperature: 1.1, topP: 1, seed: round, maxTokens: 14 };
        const { pieces } = await judge(model, prompt, { ...base, ignoreEos: true });
        const text = pieces.map((piece) => piece.text).join("");
        const part = (): string => {
          const at = stream.integer(text.length);
          return text.slice(at, at + 1 + stream.integer(4)) + (stream.integer(3) === 0 ? "#" : "");
        };
        const names = ["<|stop|>", "</s>", token.end, 264];
        await judge(model, prompt, {
          ...base,
          stop: Array.from({ length: 1 + stream.integer(3) }, part),
          ignoreEos: stream.integer(2) === 0,
          ...(stream.integer(2) === 0 && { ends: [token.end] }),
          ...(stream.integer(2) === 0 && { stopTokens: [names[stream.integer(names.length)]!] }), // within
        });
      }
    },
  },
];
