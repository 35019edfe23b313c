import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSampler, PolyllamaError, TokenHistory } from "../src/index.ts";
import { exp2Weight, one } from "../src/sampling/exp2.ts";
import { logprobs } from "../src/sampling/logprobs.ts";
import { philox } from "../src/sampling/philox.ts";

const logits = Float32Array.of(1, 3, 2, 3, -4);
const picks = (options: Parameters<typeof createSampler>[0], draws = 400): ReadonlyMap<number, number> => {
  const counts = new Map<number, number>();
  for (let position = 1; position <= draws; position++) {
    const id = createSampler({ seed: 5, topP: 1, ...options }).sample(
      logits,
      new Array<number>(position).fill(4),
      position,
    );
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
};

test("philox equals the known answers of its authors' Random123", () => {
  const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, "0")).join(" ");
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  const ones = 0xffffffff;
  expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
  const pi = philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]);
  expect(hex(pi)).toBe("d16cfe09 94fdcceb 5001e420 24126ea1");
});

test("exp2 in fixed point is within the error of its interpolation and three roundings, while weights are large", () => {
  let worst = 0;
  for (let steps = 0; steps < 5 * 65536; steps++) {
    worst = Math.max(worst, Math.abs(exp2Weight(steps) / (one * 2 ** (-steps / 65536)) - 1));
  }
  // A chord over 1/256 of an octave is off by its square over 8; entries of the table, their difference and the shift
  // round.
  expect(worst).toBeLessThan((Math.LN2 / 256) ** 2 / 8 + 3 * 2 ** -25);
  expect(exp2Weight(31 * 65536)).toBe(0);
});

describe("sampling", () => {
  test("greedy takes the lowest id among equals", () => expect([...picks({ temperature: 0 }).keys()]).toEqual([1]));
  test("follows the distribution", () => {
    const counts = picks({ temperature: 1 }, 4000);
    const weights = Array.from(logits, Math.exp);
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((weight, id) => {
      const p = weight / total;
      expect(Math.abs((counts.get(id) ?? 0) / 4000 - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / 4000));
    });
  });
  test("topK keeps k, equals by id", () => {
    expect([...picks({ temperature: 5, topK: 1 }).keys()]).toEqual([1]);
    expect([...picks({ temperature: 5, topK: 3 }).keys()].sort()).toEqual([1, 2, 3]);
  });
  test("topP keeps the nucleus", () => {
    expect([...picks({ temperature: 1, topP: 0.1 }).keys()]).toEqual([1]);
    expect([...picks({ temperature: 1, topP: 0.7 }).keys()].sort()).toEqual([1, 3]);
    expect([...picks({ temperature: 1, topP: 0.9 }).keys()].sort()).toEqual([1, 2, 3]);
  });
  test("minP compares with the most probable", () => {
    expect([...picks({ temperature: 1, minP: 0.3 }).keys()].sort()).toEqual([1, 2, 3]);
    expect([...picks({ temperature: 1, minP: 0.4 }).keys()].sort()).toEqual([1, 3]);
  });
  test("what reaches a threshold exactly is kept, and nothing more", () => {
    expect([...picks({ temperature: 1, minP: 1 }).keys()].sort()).toEqual([1, 3]);
    const equal = new Float32Array(4);
    const drawn = Array.from({ length: 100 }, (_, position) =>
      createSampler({ seed: 5, temperature: 1, topP: 0.5 }).sample(equal, new Array<number>(position).fill(0), 0),
    );
    expect(new Set(drawn)).toEqual(new Set([0, 1]));
  });
  test("a repetition penalty makes negative logits smaller", () => {
    const sampler = createSampler({ temperature: 0, repetitionPenalty: 2 });
    expect(sampler.sample(Float32Array.of(-1, -1.5), [0], 1)).toBe(1);
  });
  test("a history that grows is the whole text read again", () => {
    const sampler = createSampler({
      seed: 5,
      temperature: 1,
      repetitionPenalty: 1.3,
      presencePenalty: 0.2,
      frequencyPenalty: 0.7,
    });
    const logits = Float32Array.from({ length: 12 }, (_, i) => 3 * Math.sin(7 * i)); // both signs
    const prompt = [3, 3, 8];
    const history = new TokenHistory(prompt);
    const text = [...prompt];
    for (let i = 0; i < 40; i++) {
      const id = sampler.sampleAfter(logits, history);
      expect(id).toBe(sampler.sample(logits, text, prompt.length));
      text.push(id);
      history.push(id);
      expect(history.length).toBe(text.length);
    }
    expect(new Set(text).size).toBeGreaterThan(4);
    const counts = [...history.generated].map(([id, count]) => [id, count]);
    expect(counts).toEqual(expect.arrayContaining([[8, text.slice(3).filter((id) => id === 8).length]]));
  });

  test("penalties and bias", () => {
    const pick = (options: object, tokens: readonly number[], promptLength: number) =>
      createSampler({ temperature: 0, ...options }).sample(logits, tokens, promptLength);
    expect(pick({ repetitionPenalty: 2 }, [1], 1)).toBe(3);
    expect(pick({ repetitionPenalty: 2 }, [1, 3], 2)).toBe(2);
    expect(pick({ presencePenalty: 1.5 }, [1, 3], 2)).toBe(1);
    expect(pick({ presencePenalty: 1.5 }, [1, 3], 0)).toBe(2);
    expect(pick({ frequencyPenalty: 0.3 }, [1, 1, 3], 0)).toBe(3);
    expect(pick({ logitBias: { 4: 10 } }, [], 0)).toBe(4);
    expect(pick({ logitBias: { 1: -Infinity } }, [], 0)).toBe(3);
  });
  test("a seed and a position decide the token", () => {
    const draw = (seed: number, position: number) =>
      createSampler({ seed, temperature: 3, topP: 1 }).sample(logits, new Array<number>(position).fill(0), 0);
    const first = Array.from({ length: 50 }, (_, i) => draw(9, i + 1));
    expect(Array.from({ length: 50 }, (_, i) => draw(9, i + 1))).toEqual(first);
    expect(Array.from({ length: 50 }, (_, i) => draw(10, i + 1))).not.toEqual(first);
  });
  test("never picks a token without weight", () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, min: -200, max: 200 }), { minLength: 1, maxLength: 50 }),
        fc.nat(),
        (values, seed) => {
          const given = Float32Array.from(values);
          const id = createSampler({ seed, temperature: 0.5, topP: 0.9, topK: 5 }).sample(given, [1, 2], 2);
          const rank = values.filter((value) => value > values[id]!).length;
          expect(rank).toBeLessThan(5);
        },
      ),
    );
  });
  test.each([
    { temperature: -1 },
    { temperature: NaN },
    { topK: 1.5 },
    { topP: 2 },
    { seed: -1 },
    { logitBias: { x: 1 } },
    { top_p: 1 },
  ])("refuses %j", (options) => expect(() => createSampler(options as object)).toThrow(PolyllamaError));
  test("NaN logits are an error, not a token", () => {
    expect(() => createSampler({}).sample(Float32Array.of(1, NaN), [], 0)).toThrow(/token 1 is NaN/);
  });
});

test("logprobs are those of softmax", () => {
  const { logprob, top } = logprobs(logits, 2, 2);
  const total = Array.from(logits, Math.exp).reduce((a, b) => a + b);
  expect(logprob).toBeCloseTo(2 - Math.log(total), 12);
  expect(top.map(({ id }) => id)).toEqual([1, 3]);
});
