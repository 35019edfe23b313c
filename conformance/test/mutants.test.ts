// The planted faults stay plantable, and the mutation test itself works: it finds one of them, draws others, and does
// not take a NaN for a finding. The whole test is `npm run conformance:mutants`.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { reference } from "@polyllama/backend-reference";
import { buildGraph } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { expect, test } from "vitest";
import { typescriptChanges } from "../mutants/changes.ts";
import { draw } from "../mutants/draw.ts";
import { enclosingFunction } from "../mutants/enclosing.ts";
import { kernelChanges } from "../mutants/kernel-changes.ts";
import { patched } from "../mutants/mutant.ts";
import { mutants, testMutants } from "../mutants/mutants.ts";
import { watch } from "../mutants/suite.ts";
import { memoryWeights } from "../src/weights.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

function run(...options: readonly string[]) {
  const program = ["--conditions=@polyllama/source", "--import", "tsx", "conformance/mutants/run.ts"];
  return spawnSync(process.execPath, [...program, ...options], { cwd: root, encoding: "utf8" });
}

test("there are at least 30 mutants, half of them in each backend", () => {
  expect(mutants.length).toBeGreaterThanOrEqual(30);
  for (const name of ["backend-reference", "backend-onnxruntime"]) {
    expect(mutants.filter((mutant) => mutant.package === name).length).toBeGreaterThanOrEqual(15);
  }
});

test("of packages without cases of their own there are at least 60", () => {
  expect(testMutants.length).toBeGreaterThanOrEqual(60);
});

test.each(mutants)("$id still applies", async (mutant) => {
  const text = await patched(mutant);
  expect(text).toContain(mutant.replace);
});

test("a fault is found, and no copy is left behind", () => {
  const { stdout, stderr, status, pid } = run("--only", "norm-eps-outside", "--ops-only");
  expect(stderr).toBe("");
  expect(stdout).toMatch(
    /^reference {4}norm-eps-outside: .*; found by op:.*, error\/bound .*\n1 of 1 found by op cases/,
  );
  expect(status).toBe(0);
  expect(existsSync(`${root}conformance/.cache/mutants-${pid}`)).toBe(false);
});

test("an unknown mutant is an error of usage", () => {
  expect(run("--only", "nobody")).toMatchObject({ status: 2, stderr: expect.stringContaining("--list") });
});

test("a value that is not finite counts as broken, not as found", async () => {
  const graph = buildGraph((g) => [g.add("y", g.activations("a", 2), g.activations("b", 2))]);
  await using device = watch(reference());
  await using loaded = await loadGraph(device, graph, memoryWeights([]));
  await loaded.run({ inputs: { a: Float32Array.of(1, 2), b: Float32Array.of(3, 4) } }, ["y"]);
  expect(device.broken).toBeUndefined();
  await loaded.run({ inputs: { a: Float32Array.of(1, 2), b: Float32Array.of(3, Number.NaN) } }, ["y"]);
  expect(device.broken).toBe('"y" is NaN in row 0, column 1');
});

test("TypeScript is changed where a fault may lie, not in types and errors", () => {
  const text = "const a: 1 = f(x[i], n.length) < 2 && !done;\nif (a) throw new Error(b + 1);";
  const changed = typescriptChanges("a.ts", text).map(
    ({ start, end, replacement }) => text.slice(0, start) + replacement + text.slice(end),
  );
  const [first, second] = text.split("\n");
  for (const line of [
    "const a: 1 = f(x[i], n.length) <= 2 && !done;",
    "const a: 1 = f(x[i], n.length) < 3 && !done;",
    "const a: 1 = f(x[i], n.length) < 2 || !done;",
    "const a: 1 = !done;",
    "const a: 1 = f(n.length, x[i]) < 2 && !done;",
    "const a: 1 = f(x[i + 1], n.length) < 2 && !done;",
    "const a: 1 = f(x[i], (n.length - 1)) < 2 && !done;",
  ]) {
    expect(changed).toContain(`${line}\n${second}`);
  }
  expect(changed).toContain(`${first}\nif (!(a)) throw new Error(b + 1);`);
  expect(changed.every((line) => line.includes("a: 1 =") && line.includes("Error(b + 1)"))).toBe(true);
});

test("kernels are changed in their code alone", () => {
  const text = "// i < 4u\n@group(0) var<uniform> P: P;\nfn f() {\n  if (i < P.n) { y[i] = a + b; }\n}";
  const changed = kernelChanges(text).map(
    ({ start, end, replacement }) => text.slice(0, start) + replacement + text.slice(end),
  );
  const line = (code: string): string => text.replace("if (i < P.n) { y[i] = a + b; }", code);
  expect(changed.sort()).toEqual(
    [
      line("if (i <= P.n) { y[i] = a + b; }"),
      line("if (!(i < P.n)) { y[i] = a + b; }"),
      line("if (i < P.n) { y[i + 1] = a + b; }"),
      line("if (i < P.n) { y[i] = a - b; }"),
      line("if (i < P.n) { y[i] = a; }"),
    ].sort(),
  );
});

test("a seed draws the same faults again, another one others", () => {
  const places = (seed: string) => draw("core", seed, 20).map(({ file, line, after }) => `${file}:${line} ${after}`);
  expect(places("a")).toHaveLength(20);
  expect(places("a")).toEqual(places("a"));
  expect(places("a")).not.toEqual(places("b"));
});

test("the function around a place is found by its name", () => {
  const text = "class A { #b(x: number) { return [x].map((y) => y + 1); } }\nconst c = () => 2;\nlet d = 3;";
  const at = (part: string) => enclosingFunction("a.ts", text, text.indexOf(part));
  expect([at("y + 1"), at("2;"), at("3;")]).toEqual(["#b", "c", undefined]);
});
