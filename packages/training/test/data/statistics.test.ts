import { expect, test } from "vitest";
import { createStatistics } from "../../src/index.ts";

test("letters by script, and lengths", () => {
  const statistics = createStatistics();
  statistics.add("春夜 ab, 12", 5);
  statistics.add("жé𪭢", 7);
  const { scripts, ...rest } = statistics.result;
  expect(rest).toMatchObject({ texts: 2, characters: 12, tokens: 12 });
  expect(scripts).toEqual({ han: 3 / 7, latin: 3 / 7, other: 1 / 7 });
  expect(rest.textTokens).toMatchObject({ least: 5, median: 5, p75: 7, most: 7, mean: 6 });
});

test("percentiles are lengths that so many texts do not exceed", () => {
  const statistics = createStatistics();
  for (let length = 100; length >= 1; length--) statistics.add("a".repeat(length));
  expect(statistics.result.textCharacters).toEqual({
    least: 1,
    p5: 5,
    p25: 25,
    median: 50,
    p75: 75,
    p95: 95,
    most: 100,
    mean: 50.5,
  });
  expect(statistics.result.tokens).toBeUndefined();
  expect(statistics.result.textTokens).toBeUndefined();
});

test("of no texts", () => {
  const { scripts, textCharacters, texts } = createStatistics().result;
  expect([texts, textCharacters, scripts]).toEqual([0, undefined, { han: 0, latin: 0, other: 0 }]);
});
