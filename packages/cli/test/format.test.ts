import { expect, test } from "vitest";
import { bytes, median, seconds, speed, table } from "../src/format.ts";

test("numbers as people read them", () => {
  expect([0, 1023, 1536, 5 * 2 ** 20, 300 * 2 ** 30].map(bytes)).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "5.0 MiB",
    "300 GiB",
  ]);
  expect([0.031, 59.94, 75, 3600].map(seconds)).toEqual(["0.03 s", "59.9 s", "1 min 15 s", "60 min 0 s"]);
  expect([0.5, 32.61, 1234.5].map(speed)).toEqual(["0.50 tokens/s", "32.6 tokens/s", "1235 tokens/s"]);
});

test("the median of an even count lies between the two in the middle", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("columns of a table line up", () => {
  expect(
    table([
      ["a", "10"],
      ["bcd", "7"],
    ]),
  ).toEqual(["a    10", "bcd   7"]);
});
