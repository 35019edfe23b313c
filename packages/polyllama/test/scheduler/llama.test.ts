// `Llama` called several times at once: whoever is alone writes in the model's own sequence, and those who come
// meanwhile are written together.

import { reference } from "@polyllama/backend-reference";
import { forwardDevice, forwardDeviceProgram } from "@polyllama/conformance";
import type { Step } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Llama, type Piece, Scheduler } from "../../src/index.ts";

let llama: Llama;
let pools = 0;
const steps: Step[] = [];
beforeAll(async () => {
  const device = reference();
  const backend = forwardDevice(device, {
    cachePool(...given) {
      pools++;
      return device.cachePool(...given);
    },
    async compile(...given) {
      const program = await device.compile(...given);
      return forwardDeviceProgram(program, {
        submit(step, signal) {
          steps.push(step);
          return program.submit(step, signal);
        },
      });
    },
  });
  llama = await Llama.load(poet, { backend, contextLength: 64 });
});
beforeEach(() => {
  steps.length = 0;
});
afterAll(() => llama.dispose());

const prompts = ["Once upon a time", "春夜\n李白\n", "The king", "A", "The rabbit said"];
const greedy = { temperature: 0, maxTokens: 6, ignoreEos: true } as const;

test("one after another, texts take the sequence of the model alone, and no other pool", async () => {
  for (const prompt of prompts) await llama.complete(prompt, greedy);
  expect(pools).toBe(1);
  expect(steps.every(({ sequences }) => sequences.length === 1)).toBe(true);
});

test("those who come while somebody is there are written together, and each text is what it is alone", async () => {
  const alone = [];
  for (const [i, prompt] of prompts.entries()) alone.push(await llama.complete(prompt, { ...greedy, logprobs: i % 2 }));
  const rows = steps.length;
  steps.length = 0;
  const together = prompts.map((prompt, i) => llama.complete(prompt, { ...greedy, logprobs: i % 2 }));
  expect(await Promise.all(together)).toEqual(alone);
  expect(pools).toBe(2);
  expect(steps.some(({ sequences }) => sequences.length === prompts.length - 1)).toBe(true);
  expect(steps.length).toBeLessThan(rows / 2);
  steps.length = 0;
  const first = llama.complete("A", greedy);
  const second = llama.complete("A", { ...greedy, maxTokens: 30 });
  await first; // the model's own sequence is free, but somebody is there
  const third = llama.complete("The king", greedy);
  await Promise.all([second, third]);
  expect(steps.some(({ sequences }) => sequences.length === 2)).toBe(true);
});

test("chats at once have their own answers, and stops and ends end them", async () => {
  const ask = (content: string, maxTokens: number) =>
    llama.completeChat([{ role: "user", content }], { seed: 3, maxTokens, template: "llama-2" });
  const alone = [await ask("Hi", 5), await ask("Who?", 5), await ask("Go on", 5)];
  expect(await Promise.all([ask("Hi", 5), ask("Who?", 5), ask("Go on", 5)])).toEqual(alone);
  const [whole] = [await llama.complete("The king", greedy)];
  const stop = whole.text.slice(4, 7);
  const ends = [whole.ids[3]!]; // there are six
  const texts = await Promise.all([
    llama.complete("A", greedy),
    llama.complete("The king", { ...greedy, stop }),
    llama.complete("The king", { ...greedy, ignoreEos: false, ends }),
  ]);
  expect(texts[1]).toMatchObject({ finish: "stop", text: whole.text.slice(0, whole.text.indexOf(stop)) });
  expect(texts[2]).toMatchObject({ finish: "eos", ids: whole.ids.slice(0, whole.ids.indexOf(ends[0]!) + 1) });
});

test("who leaves early, or is aborted, leaves the others as they are", async () => {
  const expected = await llama.complete("The king", greedy);
  const controller = new AbortController();
  const leave = async (): Promise<void> => {
    for await (const _ of llama.generate("Once upon a time", { ...greedy, maxTokens: 30 })) break;
  };
  const aborted = async (): Promise<void> => {
    for await (const _ of llama.generate("A", { ...greedy, maxTokens: 30, signal: controller.signal })) {
      controller.abort();
    }
  };
  const [, , end, text] = await Promise.allSettled([leave(), leave(), aborted(), llama.complete("The king", greedy)]);
  expect(end).toEqual({ status: "rejected", reason: controller.signal.reason });
  expect(text).toEqual({ status: "fulfilled", value: expected });
});

test("a scheduler of one's own runs texts with priorities and salts, and ends with the model at the latest", async () => {
  await using other = await Llama.load(poet, { backend: reference(), contextLength: 64 });
  await using scheduler = other.createScheduler({ sequences: 2 });
  expect(scheduler).toBeInstanceOf(Scheduler);
  const ids = prompts.map((prompt) => other.tokenizer.encode(prompt, { bos: true }));
  const expected = [];
  for (const each of ids) expected.push((await other.complete(each, greedy)).text);
  const text = async (pieces: AsyncIterable<Piece>): Promise<string> => {
    let whole = "";
    for await (const piece of pieces) whole += piece.text;
    return whole;
  };
  const texts = ids.map((each, priority) => text(scheduler.generate(each, { ...greedy, priority, salt: "a" })));
  expect(await Promise.all(texts)).toEqual(expected);
  const wrong: object = { priorty: 1 };
  expect(() => scheduler.generate(ids[0]!, wrong)).toThrow(/"priorty".*priority/); // there are five
  expect(() => other.createScheduler({ ...wrong })).toThrow(/priorty/);
  expect(String(JSON.stringify(scheduler))).toMatch(/"running":0/);
  const left = text(scheduler.generate(ids[1]!, { ...greedy, maxTokens: 30 })).catch((error: unknown) => error);
  await scheduler.generate(ids[2]!, greedy).next();
  await other.dispose();
  expect(await left).toMatchObject({
    code: "ERR_DISPOSED",
    message: expect.stringContaining("load it again") as string,
  });
  expect(() => other.createScheduler()).toThrow(/load it again/);
});
