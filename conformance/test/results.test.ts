// The results that CONFORMANCE.md is made of are those of today's suite: a case that goes or is renamed makes a new run
// necessary, and of one that came later CONFORMANCE.md says that it was not run.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type BackendResults, casesNotRun, conformanceCases, isAsExpected, judge } from "../src/index.ts";

const folder = fileURLToPath(new URL("../results/", import.meta.url));
const document = readFileSync(new URL("../../CONFORMANCE.md", import.meta.url), "utf8");

test.each(readdirSync(folder))("%s", (file) => {
  const run: BackendResults = JSON.parse(readFileSync(folder + file, "utf8"));
  const { backend, results, expectations } = run;
  const recorded = new Set(results.map(({ address }) => address));
  const known = conformanceCases().flatMap(({ address }) => (recorded.has(address) ? [address] : []));
  expect(results.map(({ address }) => address)).toEqual(known);
  expect(results.filter((result) => !isAsExpected(judge(result, expectations).verdict))).toEqual([]);
  const missing = casesNotRun(run);
  if (missing !== undefined) expect(document).toContain(`- **${backend}**: ${missing}`);
});
