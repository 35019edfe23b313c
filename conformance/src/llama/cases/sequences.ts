// Sequences: what is read again and what is not, prompts of several chunks, several sequences at once, forks and
// rewinding; each is held to the definition on logits of a sequence of its own.

import type { Llama, Sequence } from "polyllama";
import { must, mustEqual } from "../../must.ts";
import { collect, judge, type LoadedModel } from "../subject.ts";
import { token } from "../vocabulary.ts";
import { type LlamaCase, seed } from "./case.ts";

/** A prompt of random words, other ones for each `kind`; without BOS where `kind` is negative. */
function words(length: number, kind = 0): readonly number[] {
  const ids = Array.from({ length }, (_, i) => 262 + ((i * i * 3 + i * (7 + kind * 2) + kind * kind) % 16));
  return kind < 0 ? ids : [token.bos, ...ids.slice(1)];
}

function shared(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

const options = { temperature: 1, topP: 0.9, seed, ignoreEos: true };
const greedy = { temperature: 0, seed, ignoreEos: true };

/** Prompts one after another in one sequence: their texts, and that no more was computed than what is new. */
async function inTurn(model: LoadedModel, prompts: readonly (readonly number[])[], maxTokens: number): Promise<void> {
  using sequence = model.llama.createSequence();
  using logits = model.logits();
  for (const [i, prompt] of prompts.entries()) {
    const fresh = prompt.length - Math.min(shared(sequence.tokens, prompt), prompt.length - 1);
    const before = model.work.rows;
    const { pieces } = await judge(model, prompt, { ...options, maxTokens, sequence }, logits);
    const ids = pieces.map(({ id }) => id);
    mustEqual(sequence.tokens, [...prompt, ...ids.slice(0, -1)], `tokens of the sequence after prompt ${i}`);
    mustEqual(model.work.rows - before, fresh + ids.length - 1, `rows computed for prompt ${i}`);
  }
}

const abTo = async (llama: Llama, sequence: Sequence, prompt: readonly number[]) => {
  const pieces = await collect(llama.generate(prompt, { ...greedy, maxTokens: 6, sequence }));
  return pieces.map(({ id }) => id);
};

export const sequenceCases: readonly LlamaCase[] = [
  {
    name: "a prompt that shares a prefix with the last one, none, or all of it, is read as if alone, and only what is new",
    async run(subject) {
      const long = words(40);
      const prompts = [
        long,
        [...long, ...words(21, 1)],
        [...long.slice(0, 20), ...words(25, 2)],
        words(30, -1),
        words(30, -1),
        words(7, -1),
        [token.bos],
        [...words(16), 270],
      ];
      await inTurn(await subject.model("small", 16), prompts, 5);
    },
  },
  {
    name: "prompts around the borders of chunks are read whole, each token once",
    async run(subject) {
      const lengths = [15, 16, 17, 31, 32, 33, 47, 48, 49];
      const prompts = lengths.map((length, i) => words(length, -1 - i));
      await inTurn(await subject.model("small", 16), prompts, 2);
    },
  },
  {
    name: "prompts of several chunks of 512 are read whole, each token once",
    async run(subject) {
      const model = await subject.model("small");
      const long = words(1030);
      const other = [...long.slice(0, 500), ...words(530, 3)];
      await inTurn(model, [long, other, words(512, -5)], 2);
    },
  },
  {
    name: "the model's own sequence forgets the last prompt too",
    async run(subject) {
      const model = await subject.model("small", 16);
      for (const prompt of [words(40), words(35, 1), [...words(35, 1), 263], words(9, -2), [token.bos]]) {
        const settings = { ...greedy, maxTokens: 4 };
        const { defined } = await judge(model, prompt, settings);
        const { ids } = await model.llama.complete(prompt, settings);
        mustEqual(
          ids,
          defined.map(({ id }) => id),
          `ids behind a prompt of ${prompt.length}`,
        );
      }
    },
  },
  {
    name: "logits of continueTo are those of the backend to the bit, after rewinding too",
    async run(subject) {
      const { llama, logits } = await subject.model("small", 16);
      using sequence = llama.createSequence();
      using own = logits();
      for (const prompt of [words(40), words(40).slice(0, 33), words(50, 1), words(50, 1)]) {
        const found = await sequence.continueTo(prompt);
        mustEqual(Array.from(found), Array.from(await own(prompt)), `logits behind ${prompt.length} tokens`);
      }
      sequence.truncate(10);
      must(sequence.tokens.length === 10, "truncate keeps what it says");
      await own([...words(50, 1).slice(0, 10), token.eos]); // so that ten are shared, and no more
      mustEqual(
        Array.from(await sequence.continueTo(words(50, 1))),
        Array.from(await own(words(50, 1))),
        "logits after truncate",
      );
    },
  },
  {
    name: "several generations at once give what each gives alone",
    async run(subject) {
      const model = await subject.model("small", 16);
      const prompts = [words(40), words(3, 1), words(20, 2), words(17, -3), [token.bos]];
      const work = prompts.map(async (prompt, i) => {
        await judge(model, prompt, { ...options, seed: i, maxTokens: 6 });
      });
      // Those that share the model's own sequence, which serves one at a time.
      const settings = { ...greedy, maxTokens: 5 };
      const own = prompts.map((prompt) => model.llama.complete(prompt, settings));
      await Promise.all(work);
      for (const [i, { ids }] of (await Promise.all(own)).entries()) {
        const { defined } = await judge(model, prompts[i]!, settings); // one for each
        mustEqual(
          ids,
          defined.map(({ id }) => id),
          `ids of generation ${i}`,
        );
      }
    },
  },
  {
    name: "forks go their own ways and leave their parent, and read only what is new",
    async run(subject) {
      const model = await subject.model("small", 16);
      const { llama, work } = model;
      const prompt = words(30);
      using parent = llama.createSequence();
      await parent.continueTo(prompt);
      const forks = await Promise.all([parent.fork(), parent.fork(), parent.fork()]);
      using child = await forks[0]!.fork(); // there are three
      const all = [parent, ...forks, child];
      const before = work.rows;
      await Promise.all(
        all.map(async (sequence, i) => {
          mustEqual(sequence.tokens, prompt, `tokens of fork ${i}`);
          using logits = model.logits();
          await logits(prompt);
          await judge(model, [...prompt, ...words(1 + i, i)], { ...options, seed: i, maxTokens: 4, sequence }, logits);
        }),
      );
      const fresh = all.reduce((sum, _, i) => sum + 1 + i + 3, 0);
      mustEqual(work.rows - before, fresh, "rows computed for forks");
      for (const fork of forks) fork[Symbol.dispose]();
      mustEqual(await abTo(llama, parent, prompt), await abTo(llama, child, prompt), "the parent and a fork of a fork");
    },
  },
];
