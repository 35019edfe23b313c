// The commands with all their options: what each changes where it arrives.

import { fileURLToPath } from "node:url";
import { poet } from "@polyllama/model-poet";
import { expect } from "vitest";
import { checkingCommands } from "./checking.ts";
import {
  backendRows,
  type CommandRows,
  command,
  fileRows,
  hubRows,
  json,
  modelRows,
  openRows,
  type Row,
  row,
  textRows,
} from "./rows.ts";
import type { Seen } from "./seen.ts";
import { tokenizerCommands } from "./tokenizer.ts";
import { trainingCommands } from "./training.ts";

const messages = [{ role: "user", content: "Hello" }];
const system = { role: "system", content: "Brief." };
const rendered = { "renderChat.messages": messages, "renderChat.allowMarkers": false };
const fitted = { "fit.room": 256, "fit.allowMarkers": false };
/** A file that is there, which nothing here writes, and its text without the last line break. */
const existing: string = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const text = expect.stringMatching(/^#!.*\n\/\/ The program `polyllama`/);

const wrote = (write: string, dest: string | null): Seen => ({
  [`${write}.dest`]: dest,
  [`${write}.overwrite`]: dest === null ? null : false,
});

const writeRows = (write: string): readonly Row[] => [
  row("--tensors a=q8_0", { [`${write}.tensors`]: [{ pattern: "a", format: "q8_0" }] }),
  row("--requantize", { [`${write}.requantize`]: true }),
  row("--shard-size 2kB", { [`${write}.shardBytes`]: 2000 }),
  row("--shard-size 1", { [`${write}.shardBytes`]: 1 }),
  row("--overwrite", { [`${write}.overwrite`]: true }),
  row("--adapter ./lora", { "adapter.path": "./lora", "merge.adapter": "./lora" }),
  row("--threads 3", { [`${write}.threads`]: 3 }),
  json(/"files": \[/),
  ...openRows,
];

export const commands: readonly CommandRows[] = [
  {
    name: "",
    given: [],
    arrives: {},
    rows: [
      row("--version", { stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), error: expect.any(String) }),
      row("--verbose", { "probe.verbose": true }, ["inspect", "m"]),
    ],
  },
  command("generate", { "encode.text": "Hello" }, [
    row("--prompt One", { "encode.text": "One" }),
    row(`--file ${existing}`, { "encode.text": text }),
    ...textRows("generate"),
    json(/"promptIds": \[/),
    row("--logprobs 3", { "generate.logprobs": 3, stdout: expect.stringMatching(/"logprobs": \[/) }, ["--json"]),
    ...modelRows,
  ]),
  command("chat", { "chat.messages": messages, ...fitted }, [
    ...textRows("chat", { "fit.room": 7 }),
    row("--system Brief.", { "chat.messages": [system, ...messages] }),
    row("--template chatml", { "chat.template": "chatml", "fit.template": "chatml", "chatFormat.template": "chatml" }),
    row("--allow-markers", { "chat.allowMarkers": true, "fit.allowMarkers": true }),
    row("--context-shift", fitted, ["--no-context-shift"]),
    row("--no-context-shift", { "fit.room": null, "fit.allowMarkers": null }),
    row("--json", { stdout: expect.stringMatching(/"promptIds": \[/), ...rendered }),
    ...modelRows,
  ]),
  command("bench", { "load.location": poet, "sequence.prompt": [16, 512, 512, 512] }, [
    row("--prompt-tokens 7", { "sequence.prompt": [7, 7, 7, 7], "sequence.length": expect.any(Array) }),
    row("--generate-tokens 1", { "sequence.length": [16, 17, ...[512, 513], ...[512, 513], ...[512, 513]] }),
    row("--repeat 1", { "sequence.prompt": [16, 512], "sequence.length": expect.any(Array) }),
    json(/"runs": \[/),
    ...modelRows,
  ]),
  command("demo", { "load.location": poet }, backendRows),
  command("doctor", { "backend.name": ["cpu", "onnxruntime", "cuda", "reference", "cpu", "cuda", "cuda"] }, [
    json(/^\{\n {2}"ok": true/),
    row("--backend reference", { stdout: expect.stringContaining("Everything that --backend reference needs") }),
    ...backendRows.filter(({ option: [flag] }) => !["--backend", "--device"].includes(flag)),
    row("--device 3", { "cuda.device": [3, 0, 2] }, ["--backend", "cuda"]),
  ]),
  command("pull owner/name", { "pull.address": "owner/name" }, [
    row("--list", {
      "list.address": "owner/name",
      "pull.address": null,
      stdout: expect.stringMatching(/commit 01234567/),
    }),
    row("--revision v1", { "pull.address": "owner/name@v1" }),
    ...hubRows("pull"),
  ]),
  command("inspect hf:owner/name", { "open.location": "hf:owner/name" }, [
    row("--tensors", { stdout: expect.stringMatching(/layers\.1\.attention\.wq\.weight/) }),
    row("--plan webgpu", { "plans.backend": "webgpu" }),
    json(/"parameters": \d/),
    ...openRows,
  ]),
  command("convert hf:owner/name @dest", { "open.location": "hf:owner/name", "writeSafetensors.dest": "@dest" }, [
    row("--format F16", { "writeSafetensors.format": "f16" }),
    ...writeRows("writeSafetensors"),
  ]),
  command("quantize hf:owner/name @a.gguf --format q8_0", { "writeGguf.dest": "@a.gguf", "writeGguf.format": "q8_0" }, [
    row("--format Q4-K-M", { "writeGguf.format": "q4_k_m" }),
    ...writeRows("writeGguf"),
  ]),
  command("verify hf:owner/name b", { "open.location": ["hf:owner/name", "b"] }, [
    row("--tolerance 0.1", { "compare.tolerance": 0.1 }),
    row("--tensors", { stdout: expect.stringMatching(/ same /) }),
    json(/"agrees": true/),
    row("--tokenizer t.model", { "open.tokenizer": ["t.model", "t.model"] }),
    row("--ignore-tensors a.*,b", { "open.ignoreTensors": Array(2).fill(["a.*", "b"]) }),
    row("--fit-vocabulary", { "open.fitVocabulary": [true, true] }),
    ...hubRows("open.hub"),
  ]),
  command(
    "extend-vocab m.gguf --tokenizer t.model --output @out",
    { "open.location": "m.gguf", "extend.path": "t.model" },
    [
      row("--tokenizer u.model", { "extend.path": "u.model" }),
      row("--output @out.gguf", { ...wrote("writeSafetensors", null), ...wrote("writeGguf", "@out.gguf") }),
      row("--base-tokenizer b.model", { "open.tokenizer": "b.model" }),
      ...fileRows,
      row("--rows mean", { "extend.rows": "mean" }),
      row("--rows r.safetensors", { "extend.rows": null, "extend.rows.file": "r.safetensors" }),
      row("--overwrite", { "writeSafetensors.overwrite": true }),
    ],
  ),
  ...tokenizerCommands(existing),
  ...checkingCommands,
  ...trainingCommands,
];
