// The results that CONFORMANCE.md is made of are those of today's suite: a case that comes, goes or is renamed makes a new run necessary.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type BackendResults, conformanceCases, judge } from "../src/index.ts";

const folder = fileURLToPath(new URL("../results/", import.meta.url));

test.each(readdirSync(folder))("%s", (file) => {
  const { results, expectations }: BackendResults = JSON.parse(readFileSync(folder + file, "utf8"));
  expect(results.map(({ address }) => address)).toEqual(conformanceCases().map(({ address }) => address));
  const bad = results.filter((result) => !["passed", "expected failure"].includes(judge(result, expectations).verdict));
  expect(bad).toEqual([]);
});
