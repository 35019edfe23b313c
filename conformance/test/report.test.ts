// The report as a reader meets it: under the model's name, and on a telephone.

import { presets } from "@polyllama/core";
import { describeWithSystem, system } from "@polyllama/test-support/system";
import { chromium } from "playwright";
import { expect, test } from "vitest";
import { type Compared, htmlReport, type ModelComparison } from "../src/index.ts";

const path = "/home/somebody/a-rather-long-folder-name-without-any-spaces-in-it/llama-2-7b-chat.Q4_K_M.gguf";

function comparison(model: string): ModelComparison {
  const layers = Array.from({ length: 32 }, (_, layer) => ({
    layer,
    worst: 0.5 + layer / 100,
    problem: null,
    output: 0.5,
    values: (["attention_norm", "q", "k", "v", "attention", "wo"] as const).map((value) => ({
      value,
      op: "linear" as const,
      worst: 0.123,
    })),
  }));
  const compared: Compared = {
    status: "agrees",
    name: "onnxruntime",
    device: {
      backend: "onnxruntime",
      device: "AMD EPYC 7763 64-Core Processor, with all of its name",
      details: { library: path, threads: 2 },
    },
    activations: "f32",
    ops: layers.map(({ layer }) => ({
      ...{ layer, value: "wo", op: "linear" as const, format: "q4_k", widths: [4096, 4096], worst: 0.4, problem: null },
    })),
    layers,
    endToEnd: {
      ...{ worst: 0.7, problem: null, prefilled: 32, worstRow: 3, sameToken: 64, decided: 60, meanKl: 1e-12 },
    },
    first: null,
    verdict: "onnxruntime agrees with reference: operations 0.40x of their bounds",
  };
  const reason = `no driver: ${path.replaceAll("/", "-")}`;
  return {
    ...{
      model,
      config: presets["llama-2-7b"],
      parameters: 1,
      tokens: Array.from({ length: 64 }, (_, i) => i),
      seed: 1,
      runs: 16,
      opLayers: [0, 16, 31],
    },
    ...{ judge: "reference" as const, agrees: false, verdict: compared.verdict },
    backends: [compared, { status: "not run", name: "cuda", reason, verdict: `cuda not run: ${reason}` }],
  };
}

test.each([
  [path, "llama-2-7b-chat.Q4_K_M.gguf"],
  ["C:\\models\\Llama-2-7b-hf\\", "Llama-2-7b-hf"],
  ["/home/a/.cache/huggingface/hub/models--owner--name/snapshots/0123/x.gguf", "owner/name"],
  ["synthetic://llama-2-7b?seed=1", "synthetic://llama-2-7b?seed=1"],
])("the heading of %s is %s, and the location stands among the facts", (model, name) => {
  const html = htmlReport(comparison(model), { date: "today" });
  expect(html).toContain(`<h1>polyllama parity: ${name}</h1>`);
  expect(html).toContain(`<tr><th>model</th><td>${model}</td></tr>`);
  expect(htmlReport(comparison(model), {}, "mine")).toContain("<h1>polyllama parity: mine</h1>");
});

describeWithSystem("chromium", "the report in a browser", () => {
  test.each([375, 320, 1200])("fits %d pixels", async (width) => {
    const executablePath = system.chromium?.executable;
    if (executablePath === undefined) throw new Error("chromium is missing");
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage({ viewport: { width, height: 800 } });
      await page.setContent(htmlReport(comparison(path), { date: "today", platform: path }));
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
    } finally {
      await browser.close();
    }
  });
});
