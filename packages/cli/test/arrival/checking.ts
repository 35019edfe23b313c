// Options of `polyllama parity` and `polyllama gpu-check`.

import { poet } from "@polyllama/model-poet";
import { expect } from "vitest";
import { type CommandRows, command, fileRows, hubRows, json, row } from "./rows.ts";

/** What every part but that of the cards calls. */
const parts = [
  ...["suite.name", "suite.seconds", "suite.seed", "sanitize.device", "sanitize.seed", "task.model"],
  ...["backend.name", "cuda.device", "copyBandwidth.device", "tensorPeak.device"],
];
const none = Object.fromEntries(parts.map((name) => [name, null]));

export const checkingCommands: readonly CommandRows[] = [
  command("parity", { "open.location": poet, "compareModel.candidates": ["onnxruntime"], "compareModel.seed": 1 }, [
    row("--model m.gguf", { "open.location": "m.gguf" }),
    row("--tokenizer t.model", { "open.tokenizer": "t.model" }),
    ...fileRows,
    row("--backends cuda,webgpu", {
      "backend.name": ["cuda", "webgpu"],
      "compareModel.candidates": ["cuda", "webgpu"],
      "onnxruntime.activations": null,
      "onnxruntime.cacheFolder": null,
    }),
    row("--activations int8", { "onnxruntime.activations": "int8" }),
    row("--threads 3", { "onnxruntime.threads": 3 }),
    row("--text a", { "compareModel.tokens": expect.toSatisfy((ids: readonly number[]) => ids.length < 5) }),
    row("--tokens 3", { "compareModel.tokens": expect.toSatisfy((ids: readonly number[]) => ids.length === 3) }),
    row("--tokens 1", { "compareModel.tokens": expect.toSatisfy((ids: readonly number[]) => ids.length === 1) }),
    row("--layers all", { "compareModel.layers": "all" }),
    row("--seed 5", { "compareModel.seed": 5 }),
    json(/"agrees": true/),
    row("--json-file @a.json", { files: ["a.json"] }),
    row("--report @a.html", { files: ["a.html"] }),
    ...hubRows("open.hub", ["--model", "hf:owner/name"]),
  ]),
  command("gpu-check --output @report", { files: ["report.json", "report.md"], "suite.name": ["cuda", "webgpu"] }, [
    row("--only cards", none),
    row("--minutes 4", { "suite.seconds": [60, 24] }),
    row("--output @other", { files: ["other.json", "other.md"] }),
    row("--device 2", {
      "cuda.device": [2, 2],
      "copyBandwidth.device": 2,
      "tensorPeak.device": 2,
      "sanitize.device": "2",
    }),
    row("--seed 5", { "suite.seed": [5, 5], "sanitize.seed": "5" }),
    row("--no-webgpu", {
      "suite.name": "cuda",
      "suite.seconds": 120,
      "suite.seed": 1,
      "backend.name": ["cuda", "cuda"],
    }),
    row("--model m", { "task.model": "m" }),
  ]),
];
