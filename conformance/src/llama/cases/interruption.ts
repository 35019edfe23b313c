// Generations that are left or aborted: what was given until then is right, nothing of it is lost, and the sequence
// goes on rightly.

import { AbortError } from "polyllama";
import { must, mustEqual } from "../../must.ts";
import { judge, type LoadedModel, mustHaveGivenBack } from "../subject.ts";
import { token } from "../vocabulary.ts";
import { type LlamaCase, seed } from "./case.ts";

const prompt = [token.bos, ...Array.from({ length: 40 }, (_, i) => 262 + ((i * 5) % 16))];
const options = { temperature: 1, topP: 0.95, seed, ignoreEos: true };
const reason = new Error("enough");

/** Calls `act` when the model's work has advanced `times` more times. */
async function interrupted<T>(
  { work }: LoadedModel,
  times: number,
  act: () => void,
  run: () => Promise<T>,
): Promise<T> {
  let left = times;
  work.after = () => {
    if (--left === 0) act();
  };
  try {
    return await run();
  } finally {
    work.after = undefined;
  }
}

async function caughtFrom(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

export const interruptionCases: readonly LlamaCase[] = [
  {
    name: "an aborted completion keeps what was generated as its partial text",
    async run(subject) {
      const model = await subject.model("small", 16);
      const { defined } = await judge(model, prompt, { ...options, maxTokens: 12 });
      for (const way of [{}, { stop: "#" }, { logprobs: 1 }]) {
        using sequence = model.llama.createSequence();
        const controller = new AbortController();
        const { signal } = controller;
        // Three chunks make one token, and each run another one.
        const run = () => model.llama.complete(prompt, { ...options, ...way, maxTokens: 12, sequence, signal });
        const error = await interrupted(
          model,
          7,
          () => controller.abort(reason),
          () => caughtFrom(run),
        );
        must(error instanceof AbortError, `it throws an AbortError, not ${String(error)}`);
        must(error.cause === reason, "its cause is the signal's reason");
        const { ids, text, promptIds, finish } = error.partial;
        must(ids.length > 0 && ids.length < 12, `a part of 12 tokens is there, not ${ids.length}`);
        const ended = defined[ids.length - 1]!; // fewer than are defined
        mustEqual(
          [ids, text, promptIds, finish],
          [defined.slice(0, ids.length).map(({ id }) => id), ended.text, prompt, undefined],
          "the partial completion",
        );
        await judge(model, prompt, { ...options, maxTokens: 4, sequence });
      }
    },
  },
  {
    name: "an abort while a prompt is read leaves a part of it, and the sequence goes on from there",
    async run(subject) {
      const model = await subject.model("small", 16);
      using sequence = model.llama.createSequence();
      const controller = new AbortController();
      const { signal } = controller;
      const run = () => model.llama.complete(prompt, { ...options, maxTokens: 4, sequence, signal });
      const error = await interrupted(
        model,
        1,
        () => controller.abort(reason),
        () => caughtFrom(run),
      );
      must(error === reason, `before a token it throws the signal's reason, not ${String(error)}`);
      const tokens = [...sequence.tokens];
      mustEqual(tokens, prompt.slice(0, tokens.length), "what the sequence holds");
      must(
        tokens.length >= 16 && tokens.length < prompt.length,
        `one chunk or two were read, not ${tokens.length} tokens`,
      );
      using logits = model.logits();
      await logits(tokens);
      await judge(model, prompt, { ...options, maxTokens: 4, sequence }, logits);
    },
  },
  {
    name: "a stream that is left, or aborted between pieces, holds what was taken, and goes on rightly",
    async run(subject) {
      const model = await subject.model("small", 16);
      for (const leave of [true, false]) {
        for (const way of [{}, { logprobs: 1 }]) {
          using sequence = model.llama.createSequence();
          const controller = new AbortController();
          const { signal } = controller;
          const ids: number[] = [];
          const read = async (): Promise<void> => {
            const settings = { ...options, ...way, maxTokens: 20, sequence, signal };
            for await (const { id } of model.llama.generate(prompt, settings)) {
              ids.push(id);
              if (ids.length < 3) continue;
              if (leave) break;
              controller.abort(reason);
            }
          };
          if (leave) await read();
          else must((await caughtFrom(read)) === reason, "it throws the signal's reason");
          mustEqual(ids.length, 3, "pieces that came");
          mustEqual(sequence.tokens, [...prompt, ...ids.slice(0, 2)], "what the sequence holds");
          using logits = model.logits();
          await logits(prompt);
          for (const length of [1, 2]) await logits([...prompt, ...ids.slice(0, length)]);
          await judge(model, [...prompt, ...ids], { ...options, maxTokens: 4, sequence }, logits);
          await mustHaveGivenBack(model.work);
        }
      }
    },
  },
];
