import { readFileSync } from "node:fs";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test, vi } from "vitest";
import { type CosineSchedule, checkSchedule, learningRate, recipeLines, recipes } from "../src/index.ts";

const schedule: CosineSchedule = { peak: 8, warmup: 4, total: 12, floor: 0.25 };

describe("a cosine schedule", () => {
  test("rises in a line to the peak, and falls by a cosine to its floor, where it stays", () => {
    const rates = [0, 1, 2, 3, 4, 12, 13, 1000].map((step) => learningRate(schedule, step));
    expect(rates).toEqual([0, 2, 4, 6, 8, 2, 2, 2]);
    expect(learningRate(schedule, 8)).toBeCloseTo(5, 12); // half way between 8 and 2
    const falling = Array.from({ length: 9 }, (_, i) => learningRate(schedule, 4 + i));
    expect(falling).toEqual([...falling].sort((a, b) => b - a));
  });

  test("without a warm-up begins at the peak", () => {
    expect(learningRate({ ...schedule, warmup: 0 }, 0)).toBe(8);
  });

  test.each([
    [{ peak: -1 }, "peak"],
    [{ warmup: 1.5 }, "warmup"],
    [{ warmup: 12 }, "warmup"],
    [{ total: 0 }, "total"],
    [{ floor: 2 }, "floor"],
    [{ total: undefined }, "total"],
  ])("%j is refused by name", (changes, name) => {
    const wrong = { ...schedule, ...changes } as CosineSchedule; // undefined is what is tried
    expect(() => checkSchedule(wrong)).toThrow(expect.objectContaining({ code: "ERR_OPTION", option: name }));
    expect(() => checkSchedule(schedule)).not.toThrow();
  });
});

describeWithShared("the schedule of the golden data", () => {
  const { cosine }: { readonly cosine: CosineSchedule & { readonly lr: readonly number[] } } = JSON.parse(
    readFileSync(shared("reference/training/losses.json"), "utf8"),
  );

  test("is this one, to the last bit but for that of the cosine, in which libraries differ", () => {
    const { lr, ...golden } = cosine;
    checkSchedule(golden);
    expect(lr).toHaveLength(golden.total + 1);
    const { cos } = Math;
    const spy = vi.spyOn(Math, "cos");
    try {
      const [own, below, above] = [0n, -1n, 1n].map((by) => {
        spy.mockImplementation((angle) => moved(cos(angle), by));
        return lr.map((_, step) => learningRate(golden, step));
      });
      const nearest = lr.map((rate, step) => [below, above].find((all) => all?.[step] === rate)?.[step] ?? own?.[step]);
      expect(nearest).toEqual(lr);
      expect(own?.slice(0, golden.warmup + 1)).toEqual(lr.slice(0, golden.warmup + 1));
    } finally {
      spy.mockRestore();
    }
  });
});

/** A number moved by some units in its last place. */
function moved(value: number, by: bigint): number {
  const bits = new BigInt64Array(Float64Array.of(value).buffer);
  bits[0]! += by; // it has one
  return new Float64Array(bits.buffer)[0]!; // likewise
}

describe("the paper's recipes", () => {
  test("differ by size in the rate alone", () => {
    const { peak, ...rest } = recipes["pretrain-7b"];
    expect(recipes["pretrain-13b"]).toEqual({ ...rest, peak });
    expect(recipes["pretrain-34b"]).toEqual({ ...rest, peak: peak / 2 });
    expect(recipes["pretrain-70b"]).toEqual(recipes["pretrain-34b"]);
  });

  test("are printed with what the paper says and what it leaves open", () => {
    expect(recipeLines(recipes["pretrain-7b"])).toEqual([
      "optimizer      AdamW, beta 0.9 and 0.95, epsilon 0.00001",
      "weight decay   0.1",
      "decayed        matrices alone (not in the paper)",
      "gradient norm  clipped to 1",
      "peak rate      0.0003",
      "warm-up        linear, 2,000 steps",
      "final rate     10 % of the peak, by a cosine",
      "sequence       4,096 tokens",
      "batch          4,000,000 tokens",
      "data           2,000,000,000,000 tokens",
      "loss           every token",
    ]);
    expect(recipeLines(recipes.sft)).toEqual([
      "optimizer      AdamW, beta 0.9 and 0.95, epsilon 0.00001 (not in the paper)",
      "weight decay   0.1",
      "decayed        matrices alone (not in the paper)",
      "gradient norm  clipped to 1 (not in the paper)",
      "peak rate      0.00002",
      "warm-up        none (not in the paper)",
      "final rate     10 % of the peak, by a cosine (not in the paper)",
      "sequence       4,096 tokens",
      "batch          64 sequences",
      "data           2 epochs",
      "loss           tokens of answers",
    ]);
  });

  test("are what a run prints after changes, too", () => {
    const optimizer = { ...recipes.sft.optimizer, maxNorm: Number.POSITIVE_INFINITY };
    const other = recipeLines({ ...recipes.sft, peak: 1e-3, warmup: 5 }, recipes.sft);
    expect(other.filter((line, i) => line !== recipeLines(recipes.sft)[i])).toEqual([
      "peak rate      0.001 (the paper: 0.00002)",
      "warm-up        linear, 5 steps (not in the paper)",
    ]);
    const lines = recipeLines({ ...recipes.sft, optimizer, floor: 0, open: [] });
    expect(lines).toContain("gradient norm  not clipped");
    expect(lines).toContain("final rate     0 % of the peak, by a cosine");
  });
});
