// The stages that make the poet, each a command of this repository that goes on where it was stopped.

import { join } from "node:path";

export interface Stage {
  readonly name: string;
  /** Relative to the repository. */
  readonly program: string;
  readonly arguments: readonly string[];
}

export interface StageOptions {
  /** Of all stages' results. */
  readonly folder: string;
  readonly corpora: string;
  readonly backend: string;
  /** Also trains without Ghost Attention, and compares. */
  readonly ablation: boolean;
}

const scripts = "packages/model-poet/scripts";
const cli = "packages/cli/src/main.ts";
const config = "packages/model-poet/training/config.json";

/** 1,800 steps of 16,384 tokens. */
const pretraining =
  "--length 2048 --batch 8 --micro-batch 2 --peak 2e-3 --warmup 100 --steps 1800 --validate-every 450";
const shares = "0.5,0.38,0.12";

/** Higher rates than the paper's, as for a model a thousand times smaller. */
const fineTuning = "--length 2048 --batch 8 --micro-batch 2 --peak 5e-4 --warmup 20 --epochs 2 --skip-long";
const ghosting = "--length 2048 --batch 8 --micro-batch 2 --peak 3e-4 --warmup 20 --epochs 1 --answers last";

/** The stages in their order. @param root Of the repository, with a slash at its end. */
export function stagesOf({ folder, corpora, backend, ablation }: StageOptions, root: string): readonly Stage[] {
  const at = (name: string): string => join(folder, name);
  const newest = (stage: string): string => join(folder, stage, "checkpoints", "latest");
  const training = (name: string, more: readonly string[]): Stage => ({
    name,
    program: cli,
    arguments: [...more, ..."--seed 1 --save-every 50".split(" "), "--backend", backend, "--out", at(name), "--resume"],
  });
  const tuned = (name: string, data: string, base: string, recipe: string, held: string): Stage =>
    training(name, [
      "sft",
      at(data),
      "--model",
      newest(base),
      ...recipe.split(" "),
      "--validation",
      at(held),
      ...asked,
    ]);
  return [
    { name: "data", program: `${scripts}/data.ts`, arguments: [corpora, "--out", folder] },
    training("pretrain", [
      "train",
      ...["english", "poems", "novels"].map((source) => at(`${source}.tokens`)),
      ...["--shares", shares, "--config", `${root}${config}`, "--tokenizer", at("tokenizer.model")],
      ...pretraining.split(" "),
      ...["english", "poems"].flatMap((source) => ["--validation", at(`${source}.validation.jsonl`)]),
      ...["--sample", "春夜\n李白\n", "--sample", "Once upon a time", "--sample-every", "450"],
    ]),
    { name: "chat-data", program: `${scripts}/chat-data.ts`, arguments: [corpora, "--out", folder] },
    tuned("sft", "chat.jsonl", "pretrain", fineTuning, "chat.validation.jsonl"),
    tuned("ghost", "ghost.jsonl", "sft", ghosting, "ghost.validation.jsonl"),
    { name: "pack", program: `${scripts}/pack.ts`, arguments: [newest("ghost"), at("model")] },
    ...(ablation
      ? [
          tuned("plain", "plain.jsonl", "sft", ghosting, "ghost.validation.jsonl"),
          {
            name: "ablation",
            program: `${scripts}/ghost-ablation.ts`,
            arguments: [
              ...["--with", newest("ghost"), "--without", newest("plain")],
              ...["--data", folder, "--json", at("ghost-ablation.json")],
            ],
          },
        ]
      : []),
  ];
}

/** What fine-tuned models are asked along the way. */
const asked: readonly string[] = ["--sample", "写一首题为《春夜》的诗。", "--sample", "Tell me of the king."];
