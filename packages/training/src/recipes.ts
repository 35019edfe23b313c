// What the paper trained with, as data (Llama 2, arXiv 2307.09288, sections 2.2 and 3.1). What it does not say and a run
// must know is marked as such, so that nobody takes it for the paper's.

import type { AdamWOptions } from "@polyllama/core";
import type { CosineSchedule } from "./schedule.ts";

/** Everything about a run but its model and its data. Replace entries by spreading: `{ ...recipes.sft, warmup: 10 }`. */
export interface Recipe extends Omit<CosineSchedule, "total"> {
  readonly optimizer: Required<AdamWOptions>;
  /** Tokens of a sequence. */
  readonly length: number;
  /** What a step sees. */
  readonly batch: { readonly size: number; readonly of: "tokens" | "sequences" };
  /** What the whole run sees. */
  readonly data: { readonly size: number; readonly of: "tokens" | "epochs" };
  /** Which targets count. */
  readonly loss: "every token" | "tokens of answers";
  /** What the paper leaves open, by the labels of {@link recipeLines}. */
  readonly open: readonly RecipeLabel[];
}

/** Names of {@link recipes}. */
export type RecipeName = "pretrain-7b" | "pretrain-13b" | "pretrain-34b" | "pretrain-70b" | "sft";

/** What a line of a recipe is about. */
export type RecipeLabel =
  | "optimizer"
  | "weight decay"
  | "decayed"
  | "gradient norm"
  | "peak rate"
  | "warm-up"
  | "final rate"
  | "sequence"
  | "batch"
  | "data"
  | "loss";

const optimizer: Required<AdamWOptions> = { beta1: 0.9, beta2: 0.95, eps: 1e-5, weightDecay: 0.1, maxNorm: 1 };

function pretraining(peak: number): Recipe {
  return {
    optimizer,
    peak,
    warmup: 2000,
    floor: 0.1,
    length: 4096,
    batch: { size: 4e6, of: "tokens" },
    data: { size: 2e12, of: "tokens" },
    loss: "every token",
    open: ["decayed"],
  };
}

/** The paper's recipes, by stage and size. */
export const recipes: Readonly<Record<RecipeName, Recipe>> = {
  "pretrain-7b": pretraining(3e-4),
  "pretrain-13b": pretraining(3e-4),
  "pretrain-34b": pretraining(1.5e-4),
  "pretrain-70b": pretraining(1.5e-4),
  sft: {
    optimizer,
    peak: 2e-5,
    warmup: 0,
    floor: 0.1,
    length: 4096,
    batch: { size: 64, of: "sequences" },
    data: { size: 2, of: "epochs" },
    loss: "tokens of answers",
    open: ["optimizer", "decayed", "gradient norm", "warm-up", "final rate"],
  },
};

/**
 * A recipe as lines for people, one for each label: what a run prints when it starts. Those that the paper leaves open
 * say so.
 *
 * @param paper What the recipe was made from: entries that are otherwise there name those, too.
 */
export function recipeLines(recipe: Recipe, paper: Recipe = recipe): readonly string[] {
  const [lines, before] = [linesOf(recipe), linesOf(paper)];
  const labels = Object.keys(lines) as readonly RecipeLabel[]; // its own keys
  const width = Math.max(...labels.map((label) => label.length)) + 2;
  return labels.map((label) => {
    const isOther = lines[label] !== before[label];
    const note = recipe.open.includes(label) ? " (not in the paper)" : isOther ? ` (the paper: ${before[label]})` : "";
    return `${label.padEnd(width)}${lines[label]}${note}`;
  });
}

function linesOf(recipe: Recipe): Readonly<Record<RecipeLabel, string>> {
  const { optimizer: adamw, peak, warmup, floor, length, batch, data, loss } = recipe;
  return {
    optimizer: `AdamW, beta ${adamw.beta1} and ${adamw.beta2}, epsilon ${adamw.eps}`,
    "weight decay": `${adamw.weightDecay}`,
    decayed: "matrices alone",
    "gradient norm": Number.isFinite(adamw.maxNorm) ? `clipped to ${adamw.maxNorm}` : "not clipped",
    "peak rate": `${peak}`,
    "warm-up": warmup === 0 ? "none" : `linear, ${grouped(warmup)} steps`,
    "final rate": `${Number((100 * floor).toPrecision(6))} % of the peak, by a cosine`,
    sequence: `${grouped(length)} tokens`,
    batch: `${grouped(batch.size)} ${batch.of}`,
    data: data.of === "epochs" && data.size === 1 ? "1 epoch" : `${grouped(data.size)} ${data.of}`,
    loss,
  };
}

/** "4,000,000" */
function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
