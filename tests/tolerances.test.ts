// No test decides by a number of its own how far a result may be off. What may differ is held to a bound or a tolerance
// that follows from roundings (docs/tolerances.md), to a formula beside its reason, or, where the comparison is of a
// closed form in float64, to twelve digits and more.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A small number, written out, on one side of a comparison: `< 1e-5`, `toBeLessThan(0.001)`, `0.0001 >`. */
const small = String.raw`(?:\d*\.?\d+e-\d+|0\.0\d*)`;
const byHand: readonly RegExp[] = [
  new RegExp(String.raw`\.toBe(?:Less|Greater)Than(?:OrEqual)?\(\s*${small}\s*\)`),
  new RegExp(String.raw`[^=]\s[<>]=?\s${small}(?![\d\w])`),
  new RegExp(String.raw`(?:^|[\s(])${small}\s[<>]=?\s`),
  /\.toBeCloseTo\([^,()]*(?:\([^()]*\)[^,()]*)*(?:,\s*(?:\d|1[01])\s*)?\)/,
];

/** Comparisons that are no tolerances, each with the reason. */
const allowed: ReadonlyMap<string, string> = new Map([
  [
    "conformance/src/parity/verdict.ts: if (share < 0.001 || share >= 1e5) return share.toExponential(1);",
    "how a number is written",
  ],
]);

function found(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => !line.startsWith("//") && !line.startsWith("*") && byHand.some((pattern) => pattern.test(line)));
}

const testsOf = (workspace: string): readonly string[] =>
  readdirSync(root + workspace)
    .map((name) => `${workspace}/${name}/test`)
    .filter((folder) => existsSync(root + folder));

test("the patterns see what they are for", () => {
  expect(
    found(`
      expect(worst).toBeLessThan(1e-4);
      expect(worst).toBeLessThan(0.001);
      if (Math.abs(a - b) > 1e-6) return;
      expect(1e-6 > worst).toBe(true);
      expect(y).toBeCloseTo(3);
      expect(y).toBeCloseTo(Math.sqrt(3), 5);
      expect(y).toBeCloseTo(Math.sqrt(3), 14);
      expect(worst).toBeLessThanOrEqual(1);
      expect(worst).toBeLessThan(3 * 2 ** -25);
    `),
  ).toHaveLength(6);
});

test("no test has a tolerance of its own", () => {
  const support = "packages/test-support/src";
  const folders = ["tests", support, "conformance/test", "conformance/src", ...testsOf("packages"), ...testsOf("apps")];
  const files = folders
    .flatMap((folder) => readdirSync(root + folder, { recursive: true }).map((path) => `${folder}/${String(path)}`))
    .filter((file) => file.endsWith(".ts") && file !== "tests/tolerances.test.ts");
  expect(files.length).toBeGreaterThan(150);
  const lines = files.flatMap((file) => found(readFileSync(root + file, "utf8")).map((line) => `${file}: ${line}`));
  expect(lines.filter((line) => !allowed.has(line))).toEqual([]);
  expect(
    [...allowed.keys()].filter((line) => !lines.includes(line)),
    "allowed, and no longer there",
  ).toEqual([]);
});
