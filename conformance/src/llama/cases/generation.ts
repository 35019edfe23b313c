// Generation as a whole: ids, text, finish and log-probabilities, on the model in which every earlier token tells.

import { must, mustEqual, mustThrow } from "../../must.ts";
import { logprobSlack } from "../choice.ts";
import { collect, judge } from "../subject.ts";
import { promptOf } from "../told.ts";
import { token } from "../vocabulary.ts";
import { type LlamaCase, seed } from "./case.ts";

/** Prompts of one token, of some, and of more than a chunk. */
const prompts: readonly (readonly number[])[] = [
  [token.bos],
  [token.bos, 263, 264, 270],
  Array.from({ length: 37 }, (_, i) => (i === 0 ? token.bos : 262 + ((i * 7) % 15))),
];

export const generationCases: readonly LlamaCase[] = [
  {
    name: "a generation is what its definition gives, greedy and drawn",
    async run(subject) {
      const model = await subject.model("small", 16);
      for (const [i, prompt] of prompts.entries()) {
        for (const temperature of [0, 0.8, 1.5]) {
          await judge(model, prompt, { temperature, seed: seed + i, maxTokens: 10, ignoreEos: true });
        }
      }
    },
  },
  {
    name: "complete gives the text, ids and finish of the stream; a text is encoded, and an empty one is BOS alone",
    async run(subject) {
      const model = await subject.model("small", 16);
      const { llama } = model;
      for (const text of ["", "a the b", "é春\n"]) {
        const prompt = [token.bos, ...(text === "" ? [] : llama.tokenizer.encode(text, { bos: false }))];
        const options = { seed, maxTokens: 12, temperature: 1 };
        const { defined } = await judge(model, prompt, options);
        const { text: whole, ids, promptIds, finish } = await llama.complete(text, options);
        mustEqual(promptIds, prompt, "ids of the prompt");
        mustEqual(
          [ids, whole, finish],
          [defined.map(({ id }) => id), defined.at(-1)!.text, defined.at(-1)!.finish], // one piece or more
          "the completion",
        );
      }
    },
  },
  {
    name: "equal seeds give equal text, other seeds another one",
    async run(subject) {
      const { llama } = await subject.model("small", 16);
      const texts = new Set<string>();
      for (const seed of [0, 1, 2, 2 ** 32 + 1, 2 ** 53 - 1]) {
        const options = { seed, maxTokens: 16, temperature: 1, ignoreEos: true };
        const [once, again] = [await llama.complete("a", options), await llama.complete("a", options)];
        mustEqual(once, again, `two texts of the seed ${seed}`);
        texts.add(JSON.stringify(once.ids));
      }
      must(texts.size === 5, `five seeds give ${texts.size} texts`);
      const [one, other] = await Promise.all([0, 1].map(() => llama.complete("a", { maxTokens: 16, ignoreEos: true })));
      // both are there
      must(JSON.stringify(one!.ids) !== JSON.stringify(other!.ids), "without a seed two texts differ");
    },
  },
  {
    name: "log-probabilities are those of the drawn tokens and of the most probable ones, of the logits as they are",
    async run(subject) {
      const model = await subject.model("small", 16);
      let others = 0;
      for (const options of [
        { temperature: 0, logprobs: 0 },
        { temperature: 1.2, topP: 1, logprobs: 3 },
        { temperature: 0.7, topK: 8, repetitionPenalty: 1.3, logitBias: { 263: 4, 264: -Infinity }, logprobs: 100 },
      ]) {
        const { pieces, defined } = await judge(model, prompts[1]!, {
          ...options,
          seed,
          maxTokens: 24,
          ignoreEos: true,
        }); // a prompt of the list
        for (const [i, { id, logprob, top }] of pieces.entries()) {
          const expected = defined[i]!.logprobs!; // judged as long, and asked for
          const own = expected.find((entry) => entry.id === id)!.logprob; // of the vocabulary
          const slack = logprobSlack(expected.length, Math.abs(own));
          // asked for
          must(Math.abs(logprob! - own) <= slack, `token ${i} has the log-probability ${own}, not ${logprob}`);
          mustEqual(
            top!.map(({ id }) => id), // asked for
            expected.slice(0, options.logprobs).map(({ id }) => id),
            `the most probable tokens at token ${i}`,
          );
          for (const [rank, entry] of top!.entries()) {
            must(Math.abs(entry.logprob - expected[rank]!.logprob) <= slack, `log-probability of rank ${rank}`);
          }
          if (expected[0]!.id !== id) others++;
        }
      }
      must(others > 10, `only ${others} tokens were not the most probable ones`);
    },
  },
  {
    name: "without logprobs, pieces have none",
    async run(subject) {
      const { llama } = await subject.model("small", 16);
      const pieces = await collect(llama.generate("a", { seed, maxTokens: 3, ignoreEos: true }));
      for (const piece of pieces) must(!("logprob" in piece) && !("top" in piece), "a piece has log-probabilities");
    },
  },
  {
    name: "the context's end ends the text, and its last token needs no place",
    async run(subject) {
      const model = await subject.model("small", 16);
      for (const length of [1, 3, 4]) {
        using sequence = model.llama.createSequence(4);
        const prompt = prompts[1]!.slice(0, length); // of four tokens
        const { pieces } = await judge(model, prompt, { seed, ignoreEos: true, sequence });
        // one piece or more
        mustEqual([pieces.length, pieces.at(-1)!.finish], [5 - length, "context"], "tokens and finish");
      }
      using sequence = model.llama.createSequence(4);
      const tooLong = () => model.llama.complete([...prompts[1]!, 263], { sequence }); // a prompt of the list
      await mustThrow("ERR_CONTEXT", tooLong, "a prompt longer than the context");
      await judge(model, prompts[0]!, { seed, maxTokens: 2, sequence }); // likewise
    },
  },
  {
    name: "wrong prompts and options are refused at once, and nothing is computed",
    async run(subject) {
      const { llama, work } = await subject.model("told", 16);
      const before = work.rows;
      const prompt = promptOf("letters");
      const wrong: readonly object[] = [
        { maxTokens: 0 },
        { temperature: -1 },
        { topP: 2 },
        { stopTokens: ["<|nothing|>"] },
        { stop: 3 },
        { logitBias: { x: 1 } },
        { ignoreEos: "no" },
        { maxtokens: 3 },
      ];
      for (const options of wrong) {
        await mustThrow(
          "ERR_OPTION",
          () => llama.generate(prompt, options),
          `generate with ${JSON.stringify(options)}`,
        );
      }
      await mustThrow("ERR_OPTION", () => collect(llama.generate([], {})), "no tokens");
      await mustThrow("ERR_OPTION", () => llama.generate([-1], {}), "a token that there is not");
      mustEqual(work.rows, before, "rows that were computed");
    },
  },
];
