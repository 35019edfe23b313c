// The generation loop as a whole against a small definition of what it must give, on a fake sequence whose logits are a
// function of the position: text, ids, finish and log probabilities. The definition knows neither held text nor streams
// of pieces.

import { createSampler, PolyllamaError, tokenizerFromGguf } from "@polyllama/core";
import { uniform } from "@polyllama/test-support/random";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseOnHost, type NextLogits } from "../src/generation/choose.ts";
import {
  type FinishReason,
  type GenerateOptions,
  generate,
  type Piece,
  type TokenSource,
} from "../src/generation/generate.ts";
import { createStopFilter } from "../src/generation/stop.ts";

const added = ["<|end|>", "<|stop|>", "<|shown|>"] as const;
const letters = ["a", "b", "ab", "▁"];
const first = 259; // behind <unk>, <s>, </s> and the bytes
const [end, stop, shown] = [first, first + 1, first + 2];
const metadata = tinyMetadata([...added, ...letters].map((piece) => ({ piece, score: 0 })));
const types = Int32Array.from(metadata.get("tokenizer.ggml.token_type") as Int32Array);
for (const [id, type] of [[end, 3] as const, [stop, 3] as const, [shown, 4] as const]) types[id] = type;
const tokenizer = tokenizerFromGguf(metadata.set("tokenizer.ggml.token_type", types), "test");
const byte = (value: number): number => 3 + value;
/** What the fake model says: letters, spaces, the two bytes of é, and the tokens that end a text. */
const likely = [2, end, stop, shown, byte(0xc3), byte(0xa9), ...letters.map((_, i) => first + added.length + i)];

function logitsAt(position: number, seed: number): Float32Array {
  const logits = new Float32Array(tokenizer.vocabSize).fill(-30); // [V]
  const next = uniform(seed * 7919 + position * 104729);
  for (const id of likely) {
    logits[id] = 3 * next() - (id === 2 || id === end || id === stop ? 1.5 : 0);
  }
  return logits;
}

/** A source whose logits are a function of the tokens so far. */
function sourceOf(capacity: number, logitsAfter: (tokens: readonly number[]) => Float32Array): TokenSource {
  return {
    capacity,
    choose(prompt, { sampler, logprobs }) {
      const tokens = [...prompt];
      const next: NextLogits = async (chosen) => {
        if (chosen !== undefined) tokens.push(chosen);
        return logitsAfter(tokens);
      };
      return chooseOnHost(next, prompt, sampler, logprobs);
    },
  };
}

function fakeSequence(seed: number, capacity: number): TokenSource {
  return sourceOf(capacity, ({ length }) => logitsAt(length, seed));
}

async function collect(pieces: AsyncIterable<Piece>): Promise<readonly Piece[]> {
  const all: Piece[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

/** Where the first of the texts begins; undefined where there is none. */
function firstOf(text: string, texts: readonly string[]): number | undefined {
  for (let at = 0; at < text.length; at++) if (texts.some((one) => text.startsWith(one, at))) return at;
  return undefined;
}

/** Whether an end of the text that begins before `at` may become one of the texts. */
function mayComeEarlier(text: string, at: number, texts: readonly string[]): boolean {
  for (let start = 0; start < at; start++) if (texts.some((one) => one.startsWith(text.slice(start)))) return true;
  return false;
}

/** What `generate` must give. */
function defined(seed: number, capacity: number, prompt: readonly number[], options: GenerateOptions) {
  const { presencePenalty = 0 } = options;
  const sampler = createSampler({ temperature: 1, topP: 1, seed, presencePenalty });
  const texts = (options.stop as readonly string[]).filter((text) => text !== "");
  const stops = options.stopTokens!.map((token) => (typeof token === "number" ? token : tokenizer.id(token)!));
  const tokens = [...prompt];
  const logprobs: number[] = [];
  for (;;) {
    const logits = logitsAt(tokens.length, seed);
    const id = sampler.sample(logits, tokens, prompt.length);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    logprobs.push(logits[id]! - Math.log(total));
    const before = tokens.slice(prompt.length);
    tokens.push(id);
    const ids = tokens.slice(prompt.length);
    const named = tokenizer.isControl(id) && texts.includes(tokenizer.piece(id));
    let whole: string | undefined; // the text, where it ends here
    let finish: FinishReason = "stop";
    if (!options.ignoreEos && (options.ends ?? [2]).includes(id)) [whole, finish] = [decode(before), "eos"];
    else if (named) whole = decode(before) + tokenizer.piece(id);
    else if (stops.includes(id)) whole = decode(before);
    else {
      const text = stream(ids);
      const at = firstOf(text, texts);
      if (at !== undefined && !mayComeEarlier(text, at, texts)) whole = text;
      else if (ids.length === options.maxTokens) [whole, finish] = [decode(ids), "length"];
      else if (tokens.length > capacity) [whole, finish] = [decode(ids), "context"];
    }
    if (whole === undefined) continue;
    const at = firstOf(whole, texts);
    return { ids, logprobs, text: whole.slice(0, at), finish: at === undefined ? finish : "stop" };
  }
  /** Without what is incomplete. */
  function stream(ids: readonly number[]): string {
    const decoder = tokenizer.decoder({ continuing: true });
    return ids.map((id) => decoder.push(id)).join("");
  }
  function decode(ids: readonly number[]): string {
    return tokenizer.decode(ids, { continuing: true });
  }
}

const stopText = fc.oneof(
  fc.constantFrom(...added, "</s>", "", "é", "\ufffd", "b<|shown|>", "a<|end|>b"),
  fc.string({ unit: fc.constantFrom("a", "b", " "), minLength: 1, maxLength: 4 }),
);
const optional = fc.record({
  stop: fc.array(stopText, { maxLength: 4 }),
  stopTokens: fc.array(fc.constantFrom<number | string>("<|stop|>", end, "ab", shown, 2), { maxLength: 2 }),
  ends: fc.option(fc.uniqueArray(fc.constantFrom(2, end)), { nil: undefined }),
  ignoreEos: fc.boolean(),
  maxTokens: fc.integer({ min: 1, max: 40 }),
  presencePenalty: fc.constantFrom(0, 2), // of what was generated, the prompt left out
});

describe("generate", () => {
  test("gives the text, ids, finish and log probabilities of its definition", async () => {
    const finishes = new Map<string, number>();
    const notBest = { count: 0 };
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 3, max: 40 }), optional, async (seed, capacity, given) => {
        const { ends, ...rest } = given;
        const options = { ...rest, ...(ends && { ends }), temperature: 1, topP: 1, seed, logprobs: 1 };
        const prompt = [1, first + added.length];
        const expected = defined(seed, capacity, prompt, options);
        const pieces = await collect(generate(fakeSequence(seed, capacity), tokenizer, prompt, options));
        expect(pieces.map(({ id }) => id)).toEqual(expected.ids);
        expect(pieces.map(({ text }) => text).join("")).toBe(expected.text);
        expect(pieces.map(({ finish }) => finish)).toEqual([
          ...expected.ids.slice(1).map(() => undefined),
          expected.finish,
        ]);
        for (const [i, { logprob }] of pieces.entries()) expect(logprob).toBeCloseTo(expected.logprobs[i]!, 12);
        finishes.set(expected.finish, (finishes.get(expected.finish) ?? 0) + 1);
        notBest.count += pieces.filter(({ id, top }) => top![0]!.id !== id).length;
      }),
      { numRuns: 1000, seed: 1 },
    );
    for (const finish of ["eos", "stop", "length", "context"]) expect(finishes.get(finish)).toBeGreaterThan(20);
    expect(notBest.count).toBeGreaterThan(100); // so that the drawn token's probability is told from the best one's
  });

  /** A sequence that says these tokens. */
  const saying = (ids: readonly number[]): TokenSource =>
    sourceOf(100, ({ length }) => {
      const said = ids[length - 1] ?? 2;
      return Float32Array.from({ length: tokenizer.vocabSize }, (_, id) => (id === said ? 9 : 0)); // [V]
    });
  const said = async (ids: readonly number[], options: GenerateOptions = {}) => {
    const pieces = await collect(generate(saying(ids), tokenizer, [1], { temperature: 0, maxTokens: 9, ...options }));
    const text = pieces.map((piece) => piece.text).join("");
    return [text, pieces.at(-1)!.finish, pieces.length];
  };
  const [a, b] = [tokenizer.id("a")!, tokenizer.id("b")!];

  test("text held back for a stop sequence is given at an end token", async () => {
    expect(await said([a, b, 2], { stop: "abc" })).toEqual(["ab", "eos", 3]);
    expect(await said([a, b, 2], { stop: "abc", maxTokens: 2 })).toEqual(["ab", "length", 2]);
    expect(await said([a, byte(0xc3), 2], { stop: "aé" })).toEqual(["a\ufffd", "eos", 3]);
  });
  test("every one of several end tokens ends the text, and ignoreEos ignores them all", async () => {
    for (const id of [2, end]) expect(await said([a, id, b], { ends: [2, end] })).toEqual(["a", "eos", 2]);
    expect(await said([a, 2, b, end, a], { ends: [2, end], ignoreEos: true, maxTokens: 5 })).toEqual([
      "aba",
      "length",
      5,
    ]);
    expect(await said([a, 2, end, b], { ends: [end] })).toEqual(["a", "eos", 3]);
  });
  test("a stop sequence that names a control token stops at that token, which shows no text", async () => {
    expect(await said([a, end, b])).toEqual(["ab", "eos", 4]);
    expect(await said([a, end, b], { stop: "<|end|>" })).toEqual(["a", "stop", 2]);
    expect(await said([a, shown, b], { stop: "<|shown|>" })).toEqual(["a", "stop", 2]);
    expect(await said([a, 2, b], { stop: "</s>", ignoreEos: true })).toEqual(["a", "stop", 2]);
    const spelled = [a, ...Array.from("<|end|>", (letter) => byte(letter.charCodeAt(0))), b];
    expect(await said(spelled, { stop: "<|end|>" })).toEqual(["a", "stop", 8]);
  });
  test("the name of a stop token completes a stop sequence that began before it", async () => {
    const sequences = ["ab<|stop|>", "<|stop|>"];
    expect(await said([a, b, stop], { stop: sequences })).toEqual(["", "stop", 3]);
    expect(await said([b, b, stop], { stop: sequences })).toEqual(["bb", "stop", 3]);
  });
  test("stop tokens, by id or name, end the text also where end tokens are ignored", async () => {
    for (const token of [b, "b"]) expect(await said([a, b, a], { stopTokens: [token] })).toEqual(["a", "stop", 2]);
    expect(await said([a, end, b], { stopTokens: ["<|end|>"], ignoreEos: true })).toEqual(["a", "stop", 2]);
  });
  test.each([{ stopTokens: ["<|nothing|>"] }, { stopTokens: [-1] }, { stopTokens: [1.5] }, { ends: [999] }])(
    "refuses %j",
    async (options) => {
      await expect(said([a], options)).rejects.toThrow(
        /^(stopTokens|ends): there is no token .*; ids go from 0 to 265/,
      );
    },
  );

  describe("where no token can be chosen", () => {
    const forbidden = Object.fromEntries(Array.from({ length: tokenizer.vocabSize }, (_, id) => [id, -Infinity]));
    test.each([0, 1])("a bias that forbids every token is an error, at temperature %d", async (temperature) => {
      const run = collect(generate(saying([a]), tokenizer, [1], { temperature, logitBias: forbidden }));
      await expect(run).rejects.toThrow(
        expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(/logitBias/) }),
      );
    });
    test("one token that is left is chosen", async () => {
      const { [b]: _, ...rest } = forbidden;
      expect(await said([a, a], { logitBias: rest, maxTokens: 2 })).toEqual(["bb", "length", 2]);
    });
    test.each([NaN, -Infinity])("logits of %d are an error", async (logit) => {
      const sequence = sourceOf(100, () => new Float32Array(tokenizer.vocabSize).fill(logit));
      const run = collect(generate(sequence, tokenizer, [1], { logitBias: { 3: -Infinity } }));
      await expect(run).rejects.toThrow(expect.objectContaining({ code: "ERR_BACKEND" }));
      await expect(run).rejects.toThrow(PolyllamaError);
    });
  });
});

describe("stop sequences", () => {
  test("of several the first in the text counts, however the text is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 3 }), { maxLength: 12 }),
        fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 5 }), { maxLength: 4 }),
        (parts, stops) => {
          const whole = parts.join("");
          const filter = createStopFilter(stops);
          let text = "";
          let stopped = false;
          for (const part of parts) {
            const result = filter.push(part);
            text += result.text;
            stopped = result.stopped;
            if (stopped) break;
          }
          if (!stopped) {
            const last = filter.end();
            text += last.text;
            stopped = last.stopped;
          }
          const at = firstOf(
            whole,
            stops.filter((one) => one !== ""),
          );
          expect(stopped).toBe(at !== undefined);
          expect(text).toBe(whole.slice(0, at));
        },
      ),
      { numRuns: 5000 },
    );
  });
  test("what cannot become one is let through at once", () => {
    const filter = createStopFilter(["abc", "cd"]);
    expect(filter.push("xab")).toEqual({ text: "x", stopped: false });
    expect(filter.push("c")).toEqual({ text: "", stopped: true });
    const other = createStopFilter(["abcd", "bc"]);
    expect(other.push("abc")).toEqual({ text: "", stopped: false }); // "abcd" would be first
    expect(other.push("a")).toEqual({ text: "a", stopped: true });
  });
});
