// Options of the commands that train.

import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { backendRows, type CommandRows, command, json, type Row, row } from "./rows.ts";
import type { Seen } from "./seen.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const dialogues = here("dialogues.jsonl");
const text = here("rows.ts");
const some: unknown = expect.any(Number);

/**
 * Rows of the options that all of them have.
 *
 * @param validation A file for it.
 * @param where What makes a sample.
 * @param measures What else `--steps` and `--epochs` change.
 */
const trainingRows = (
  validation: string,
  where: string,
  [steps = {}, epochs = {}]: readonly Seen[],
  beside: readonly string[],
): readonly Row[] => {
  const given = (option: string, changes: Seen, more: readonly string[] = []): Row =>
    row(option, changes, [...beside, ...more]);
  const optimizer = (name: string, value: number): Seen => ({ [`run.recipe.optimizer.${name}`]: value });
  return [
    given("--resume", { "run.resume": true }),
    json(/"checkpoint": "checkpoint"/, beside),
    given("--trained norm,output", { "run.trained": ["norm", "output"] }),
    given("--lora 4", { "run.adapter.rank": 4 }),
    given("--lora-alpha 32", { "run.adapter.alpha": 32 }, ["--lora", "4"]),
    given("--lora-targets attention.wo", { "run.adapter.targets": ["attention.wo"] }, ["--lora", "4"]),
    given("--lora-trainable norm", { "run.adapter.trainable": ["norm"] }, ["--lora", "4"]),
    given("--steps 7", { "run.steps": 7, "run.recipe.data.size": some, ...steps }),
    given("--epochs 3", { "run.steps": some, "run.recipe.data.size": 3, ...epochs }),
    given("--micro-batch 1", { "run.batch": expect.stringMatching(/^1\b/) }, ["--batch", "3", "--length", "60"]),
    given("--peak 0.5", { "run.recipe.peak": 0.5 }),
    given("--warmup 3", { "run.recipe.warmup": 3 }),
    given("--floor 0.3", { "run.recipe.floor": 0.3 }),
    given("--weight-decay 0.2", optimizer("weightDecay", 0.2)),
    given("--max-norm 2", optimizer("maxNorm", 2)),
    given("--beta1 0.8", optimizer("beta1", 0.8)),
    given("--beta2 0.9", optimizer("beta2", 0.9)),
    given("--eps 0.1", optimizer("eps", 0.1)),
    given("--seed 5", { "run.seed": 5 }),
    given("--save-every 9", { "run.saveEvery": 9 }),
    given("--keep 2", { "run.keep": 2 }),
    given("--no-report", { "run.report": false }),
    given(`--validation ${validation}`, { "validation.batches": some, "validation.every": 100 }),
    given("--validate-every 4", { "validation.every": 4 }, ["--validation", validation]),
    given("--sample one", { ...sampled(where, "one"), "samples.every": 100, "samples.made": expect.any(Array) }),
    given("--sample-every 6", { "samples.every": 6 }, ["--sample", "one"]),
    given("--sample-tokens 8", { [`${where}.maxTokens`]: 8 }, ["--sample", "one"]),
    ...backendRows.map((each) => ({ ...each, beside: [...beside, ...(each.beside ?? [])] })),
  ];
};

const sampled = (where: string, prompt: string): Seen => ({
  "load.location": "a checkpoint",
  ...(where === "complete"
    ? { "complete.prompt": prompt, "complete.maxTokens": 64, "complete.temperature": 0 }
    : {
        "completeChat.messages": [{ role: "user", content: prompt }],
        "completeChat.maxTokens": 64,
        "completeChat.temperature": 0,
        "completeChat.template": "llama-2",
      }),
});

/** Turns of the user in the dialogues. */
const turns = 5;
const names = ["allowMarkers", "maxTokens", "messages", "seed", "temperature", "template"];
const overwritten = { "writeGradients.overwrite": true };
const model = ["--model", "m.gguf"];

/** Options of fine-tuning and Ghost Attention alike. */
const chatRows: readonly Row[] = [
  row("--model n.gguf", { "open.location": "n.gguf" }),
  row("--tokenizer t.model", { "open.tokenizer": "t.model" }),
  row(
    "--template chinese-alpaca",
    { "completeChat.template": "chinese-alpaca", "run.batch": expect.any(String), "run.counted": some },
    ["--sample", "one"],
  ),
  row("--format sharegpt", { error: null }, ["--validation", here("sharegpt.jsonl")]),
  row("--allow-markers", { error: null }, ["--validation", here("markers.jsonl")]),
  row("--skip-long", { error: null }, ["--validation", here("long.jsonl")]),
  row("--length 60", { "run.recipe.length": 60, "run.batch": expect.any(String) }),
  row("--batch 3", { "run.recipe.batch.size": 3 }),
  row("--out @other", { "run.folder": "@other" }),
  ...trainingRows(dialogues, "completeChat", [{ "run.recipe.data.of": "tokens" }, {}], []),
];

export const trainingCommands: readonly CommandRows[] = [
  command(`train ${text} --out @out`, { error: expect.stringMatching(/give --config/) }, [
    row("--model m.gguf", { error: null, "open.location": "m.gguf", "run.folder": "@out" }),
    row(`--config ${here("config.json")}`, { error: expect.stringMatching(/declares a vocab_size of 7/) }, [
      "--tokenizer",
      "t.model",
    ]),
    row("--tokenizer t.model", { "open.tokenizer": "t.model" }, model),
    row("--documents lines", { "run.counted": some }, model),
    row("--field messages", { error: expect.stringMatching(/messages: is no text/) }, [
      "--validation",
      dialogues,
      ...model,
    ]),
    // It is read, and then missed: there are no files of tokens here.
    row("--shares 1", expect.objectContaining({ error: "--shares are of .tokens files" }), model),
    row("--out @other", { "run.folder": "@other" }, model),
    row(
      "--length 16",
      { "run.recipe.length": 16, "run.recipe.batch.size": 250_000, "run.batch": expect.any(String) },
      model,
    ),
    row(
      "--batch 3",
      {
        "run.recipe.batch.size": 3,
        "run.batch": "3",
        "run.counted": some,
        "run.steps": some,
        "run.recipe.data.size": some,
      },
      model,
    ),
    ...trainingRows(text, "complete", [{}, { "run.recipe.data.of": "epochs" }], model),
  ]),
  command(`sft ${dialogues} --model m.gguf --out @out`, { "open.location": "m.gguf", "run.folder": "@out" }, [
    row("--answers last", { "run.counted": some }),
    ...chatRows,
  ]),
  command(
    `gatt ${dialogues} --model m.gguf --out @out --instruction brief`,
    { "open.location": "m.gguf", "run.folder": "@out" },
    [
      row("--instruction kind", { "completeChat.messages": expect.any(Array) }),
      row("--sampled", {
        ...Object.fromEntries(names.map((name) => [`completeChat.${name}`, null])),
        "load.location": null,
        files: [],
      }),
      row("--temperature 0.5", { "completeChat.temperature": Array(turns).fill(0.5) }),
      row("--answer-tokens 9", { "completeChat.maxTokens": Array(turns).fill(9) }),
      ...chatRows.map((each) => ({ ...each, beside: ["--sampled", ...(each.beside ?? [])] })),
    ],
  ),
  command(`gradients --model m.gguf --batch ${here("batch.json")} --output @g`, { "open.location": "m.gguf" }, [
    row("--model n.gguf", { "open.location": "n.gguf" }),
    row(`--batch ${here("other-batch.json")}`, { "gradients.rows": 2 }),
    row("--output @h", { "writeGradients.path": "@h" }),
    row("--overwrite", overwritten),
    json(/"loss": 1.5/),
    ...backendRows,
  ]),
];
