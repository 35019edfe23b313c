// generated.ts is what the .wgsl files say, and the preprocessor does what its comment says.

import { readFileSync } from "node:fs";
import { struct, u32 } from "@polyllama/planner";
import { expect, test } from "vitest";
import { generatedFile, generateKernels } from "../scripts/generate-kernels.mjs";
import { kernelSources } from "../src/kernels/generated.ts";
import { shaderSource } from "../src/shader.ts";

test("generated.ts is up to date; npm run generate -w @polyllama/backend-webgpu mends it", () => {
  expect(readFileSync(generatedFile, "utf8")).toBe(generateKernels());
});

test("every included file exists", () => {
  for (const text of Object.values(kernelSources)) {
    for (const [, name] of text.matchAll(/^\/\/#include "(\w+)"/gm)) expect(Object.keys(kernelSources)).toContain(name);
  }
});

test("directives are resolved, and numbers become constants", () => {
  const values = { FORMAT: "format_q4_k", ROWS: 2, ROWS_HALF: 1, TOKENS: 1, WORKGROUP: 8, NORM: true, SWIGLU: true };
  const source = shaderSource({ kernel: "linear", parameters: struct({ rows: u32 }), values });
  expect(source).toContain("const ROWS = 2u;");
  expect(source).toContain("store_gated(n, row + 2u * 0u, sum_0_0, sum_1_0);");
  expect(source).toContain("fn k_factors");
  expect(source).toContain("struct Parameters {\n  rows: u32,\n}\n@group(0) @binding(0) var<uniform> P: Parameters;");
  expect(source).toContain("segments: array<Segment, 64>,");
  expect(source).not.toMatch(/^\s*\/\/#/m);
  expect(source).not.toContain("var<storage, read> residual");
});
