// Which weights a run trains: all of them, some, or an adapter beside them.

import { type LoraOptions, type MatrixPart, matrixParts, type WeightPart } from "@polyllama/core";
import { type Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../exit.ts";
import { integer, number } from "../values.ts";

/** What the options say of it. */
export interface WeightFlags {
  readonly trained?: readonly WeightPart[];
  readonly lora?: number;
  readonly loraAlpha?: number;
  readonly loraTargets?: readonly MatrixPart[];
  readonly loraTrainable?: readonly WeightPart[];
}

const others = ["attention_norm", "ffn_norm", "tok_embeddings", "norm", "output"] as const satisfies WeightPart[];
const weightParts: readonly WeightPart[] = [...matrixParts, ...others];

export function addWeightOptions(command: Command): Command {
  const parts = (flags: string, description: string, all: readonly string[]): Option =>
    new Option(flags, description).argParser((text) => namesOf(text, all));
  return command
    .optionsGroup("Weights:")
    .addOption(
      parts("--trained <names>", "the weights that train, such as tok_embeddings,output (default: all)", weightParts),
    )
    .option("--lora <rank>", "train a LoRA adapter of this rank; the model stays as it is, in any format", integer(1))
    .option("--lora-alpha <x>", "its alpha (default: 8)", number)
    .addOption(
      parts(
        "--lora-targets <names>",
        "matrices that get one, or all (default: attention.wq,attention.wv)",
        matrixParts,
      ),
    )
    .addOption(parts("--lora-trainable <names>", "weights that train in full beside it", weightParts));
}

/** "tok_embeddings,output", or "all" */
function namesOf(text: string, all: readonly string[]): readonly string[] {
  if (text === "all") return all;
  const names = text.split(",");
  const unknown = names.find((name) => !all.includes(name));
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(
    `There is no "${unknown}". Expected are all, or of these, by commas: ${all.join(", ")}.`,
  );
}

/** As a run takes it. @throws {UsageError} for what needs --lora, or excludes it. */
export function trainedWeights(flags: WeightFlags): {
  readonly adapter?: LoraOptions;
  readonly trained?: readonly WeightPart[];
} {
  const { trained, lora: rank, loraAlpha: alpha, loraTargets: targets, loraTrainable: trainable } = flags;
  if (rank === undefined) {
    const lone = Object.entries({ alpha, targets, trainable }).find(([, value]) => value !== undefined);
    if (lone !== undefined) throw new UsageError(`--lora-${lone[0]} needs --lora with the adapter's rank`);
    return trained === undefined ? {} : { trained };
  }
  if (trained !== undefined) {
    throw new UsageError(
      "--trained and --lora exclude each other; --lora-trainable names what trains beside an adapter",
    );
  }
  return {
    adapter: {
      rank,
      ...(alpha !== undefined && { alpha }),
      ...(targets !== undefined && { targets }),
      ...(trainable !== undefined && { trainable }),
    },
  };
}
