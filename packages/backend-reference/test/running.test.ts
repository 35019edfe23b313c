// Numbers that carry bounds on their errors, beside the same computation in f32.

import { signed } from "@polyllama/test-support/random";
import { expect, test } from "vitest";
import { given, type Running, runningArithmetic } from "../src/running.ts";

const a = runningArithmetic({ unit: 2 ** -24, flushesSubnormals: false, exp: 1 });
const f = Math.fround;

/** Computed in f32, and what bounds it. */
interface Both {
  readonly f32: number;
  readonly exact: Running;
}

const steps: readonly ((x: Both, y: Both) => Both)[] = [
  (x, y) => ({ f32: f(x.f32 + y.f32), exact: a.add(x.exact, y.exact) }),
  (x, y) => ({ f32: f(x.f32 - y.f32), exact: a.subtract(x.exact, y.exact) }),
  (x, y) => ({ f32: f(x.f32 * y.f32), exact: a.multiply(x.exact, y.exact) }),
  (x, y) => ({ f32: f(x.f32 / y.f32), exact: a.divide(x.exact, y.exact) }),
  (x) => ({ f32: f(Math.exp(-f(x.f32 * x.f32))), exact: a.exp(a.multiply(a.subtract(given(0), x.exact), x.exact)) }),
  (x, y) => ({
    f32: f(1 / f(Math.sqrt(f(f(f(x.f32 * x.f32) + f(y.f32 * y.f32)) + 0.5)))),
    exact: a.inverseSqrt(a.add(a.dot([x.exact, y.exact], [x.exact, y.exact]), given(0.5))),
  }),
];

test("a computation in f32 stays within the bound that it carries", () => {
  const next = signed(3);
  let [tried, close] = [0, 0];
  for (let turn = 0; turn < 2000; turn++) {
    const numbers: Both[] = Array.from({ length: 4 }, () => {
      const value = f(4 * next());
      return { f32: value, exact: given(value) };
    });
    for (let i = 0; i < 6; i++) {
      const step = steps[Math.floor(((next() + 1) / 2) * steps.length) % steps.length]!; // below their number
      const made = step(numbers[i % numbers.length]!, numbers[(i * 3 + 1) % numbers.length]!); // likewise
      if (!Number.isFinite(made.exact.error) || made.exact.error > Math.abs(made.exact.value)) break; // nothing is known
      const error = Math.abs(made.f32 - made.exact.value);
      expect(error).toBeLessThanOrEqual(made.exact.error);
      tried++;
      if (error > made.exact.error / 8) close++;
      numbers[i % numbers.length] = made;
    }
  }
  expect(tried).toBeGreaterThan(5000);
  expect(close).toBeGreaterThan(tried / 10); // the bounds are not idle
});

test("a sum stays within its bound, in either order", () => {
  const next = signed(5);
  for (let turn = 0; turn < 200; turn++) {
    const terms = Array.from({ length: 300 }, () => f(next() * 2 ** Math.floor(8 * next())));
    const { value, error } = a.sum(terms.map(given));
    for (const order of [terms, [...terms].reverse()]) {
      expect(Math.abs(order.reduce((sum, term) => f(sum + term), 0) - value)).toBeLessThanOrEqual(error);
    }
  }
});

test("what may be divided by zero is not bounded", () => {
  expect(a.divide(given(1), { value: 1e-9, error: 2e-9 }).error).toBe(Number.POSITIVE_INFINITY);
  expect(a.inverseSqrt({ value: 1e-9, error: 2e-9 }).error).toBe(Number.POSITIVE_INFINITY);
});
