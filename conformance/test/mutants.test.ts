// The planted faults stay plantable, and the mutation test itself works: it finds three of them, and does not take a NaN for a
// finding. The whole test is `npm run conformance:mutants`.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { reference } from "@polyllama/backend-reference";
import { buildGraph } from "@polyllama/core";
import { expect, test } from "vitest";
import { patched } from "../mutants/mutant.ts";
import { mutants } from "../mutants/mutants.ts";
import { watch } from "../mutants/suite.ts";
import { memoryWeights } from "../src/weights.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

function run(...options: readonly string[]) {
  const program = ["--conditions=@polyllama/source", "--import", "tsx", "conformance/mutants/run.ts"];
  return spawnSync(process.execPath, [...program, ...options], { cwd: root, encoding: "utf8" });
}

test("there are at least 30 mutants, half of them in each backend", () => {
  expect(mutants.length).toBeGreaterThanOrEqual(30);
  for (const name of ["backend-reference", "backend-cpu"]) {
    expect(mutants.filter((mutant) => mutant.package === name).length).toBeGreaterThanOrEqual(15);
  }
});

test.each(mutants)("$id still applies", async (mutant) => {
  const text = await patched(mutant);
  expect(text).toContain(mutant.replace);
});

test("three faults are found, and no copy is left behind", () => {
  const ids = ["norm-eps-outside", "attention-groups", "swiglu-swapped"];
  const { stdout, stderr, status, pid } = run(...ids.flatMap((id) => ["--only", id]), "--ops-only");
  expect(stderr).toBe("");
  const lines = stdout.trim().split("\n");
  ids.forEach((id, i) => {
    expect(lines[i]).toMatch(new RegExp(`${id}: .*; found by op:.*, error/bound `));
  });
  expect(lines[3]).toMatch(/^3 of 3 found by op cases/);
  expect(status).toBe(0);
  expect(existsSync(`${root}conformance/.cache/mutants-${pid}`)).toBe(false);
});

test("an unknown mutant is an error of usage", () => {
  expect(run("--only", "nobody")).toMatchObject({ status: 2, stderr: expect.stringContaining("--list") });
});

test("a value that is not finite counts as broken, not as found", async () => {
  const graph = buildGraph((g) => [g.add("y", g.activations("a", 2), g.activations("b", 2))]);
  const backend = watch(reference());
  await using program = await backend.compile(graph, memoryWeights([]));
  await program.run({ inputs: { a: Float32Array.of(1, 2), b: Float32Array.of(3, 4) } }, ["y"]);
  expect(backend.broken).toBeUndefined();
  await program.run({ inputs: { a: Float32Array.of(1, 2), b: Float32Array.of(3, Number.NaN) } }, ["y"]);
  expect(backend.broken).toBe('"y" is NaN in row 0, column 1');
});
