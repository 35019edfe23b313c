// Options of `polyllama parity`.

import { poet } from "@polyllama/model-poet";
import { expect } from "vitest";
import { type CommandRows, command, fileRows, hubRows, json, row } from "./rows.ts";

export const checkingCommands: readonly CommandRows[] = [
  command("parity", { "open.location": poet, "compareModel.candidates": ["cpu"], "compareModel.seed": 1 }, [
    row("--model m.gguf", { "open.location": "m.gguf" }),
    row("--tokenizer t.model", { "open.tokenizer": "t.model" }),
    ...fileRows,
    row("--backends cuda,webgpu", {
      "backend.name": ["cuda", "webgpu"],
      "compareModel.candidates": ["cuda", "webgpu"],
      "cpu.activations": null,
      "cpu.cacheFolder": null,
    }),
    row("--backends onnxruntime", {
      "backend.name": "onnxruntime",
      "compareModel.candidates": ["onnxruntime"],
      "cpu.activations": null,
      "cpu.cacheFolder": null,
      "onnxruntime.activations": "f32",
      "onnxruntime.cacheFolder": false,
    }),
    row("--activations int8", { "cpu.activations": "int8" }),
    row("--activations int8", { "onnxruntime.activations": "int8" }, ["--backends", "onnxruntime"]),
    row("--threads 3", { "cpu.threads": 3 }),
    row("--threads 3", { "onnxruntime.threads": 3 }, ["--backends", "onnxruntime"]),
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
];
