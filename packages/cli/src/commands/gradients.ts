// `polyllama gradients`: the gradients of given tokens as a file, so that anyone can compare them with another program's.

import { llamaGraph, parseJson } from "@polyllama/core";
import { batchGradients, type Example, packExamples } from "@polyllama/training";
import { writeGradients } from "@polyllama/training/node";
import type { Command } from "commander";
import { type BackendOptions, createBackend } from "../backends.ts";
import { UsageError } from "../exit.ts";
import { plural } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { addBackendOptions, locations } from "../options.ts";
import { note, print, printJson } from "../terminal.ts";
import { checkOutput } from "../text-files.ts";
import { readTextFile } from "../text-input.ts";

interface Flags extends BackendOptions {
  readonly model: string;
  readonly batch: string;
  readonly output: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
}

export function addGradients(program: Command, { signal }: Interrupts): void {
  const command = program
    .command("gradients")
    .summary("Write the gradients of given tokens")
    .description(
      "Write the gradient of the loss of some examples by every weight: safetensors in F32 under Meta's names, in Meta's " +
        "rotary order. The loss is the mean of -log p over all tokens but each example's first, by their counts.",
    )
    .requiredOption("-m, --model <location>", locations)
    .requiredOption("--batch <file>", 'JSON: [{"ids": [1, 5, 2], "counts": [0, 1, 1]}], or an object with it as batch')
    .requiredOption("-o, --output <file>", "the safetensors file to write")
    .option("--overwrite", "replace the output")
    .option("--json", "print one object: loss");
  addBackendOptions(command).action((flags: Flags) => run(flags, signal));
}

async function run(flags: Flags, signal: AbortSignal): Promise<void> {
  const { output, overwrite = false, json = false } = flags;
  await checkOutput(output, overwrite);
  const examples = examplesOf(parseJson(await readTextFile(flags.batch), flags.batch), flags.batch);
  await using checkpoint = await openModel(flags.model, { json }, signal);
  const { vocabSize } = checkpoint.config;
  for (const [index, { ids }] of examples.entries()) {
    const wrong = ids.find((id) => id >= vocabSize);
    if (wrong !== undefined) {
      throw new UsageError(`${flags.batch}: example ${index} has token ${wrong}, and the model ${vocabSize} tokens`);
    }
  }
  const length = Math.max(...examples.map(({ ids }) => ids.length));
  const batch = [...packExamples(examples, { length, examples: "whole" })].map((packed) => [packed]);
  await using device = await createBackend(flags);
  const found = await batchGradients(device, llamaGraph(checkpoint.config), checkpoint, batch, signal);
  await writeGradients(output, found, { overwrite, signal });
  if (json) printJson({ loss: found.loss });
  else {
    note(`${plural(found.gradients.size, "gradient")} in ${output}`);
    print(`loss ${found.loss}`);
  }
}

/** @throws {UsageError} naming what is no example. */
function examplesOf(json: unknown, file: string): readonly Example[] {
  const list: unknown = typeof json === "object" && json !== null && "batch" in json ? json.batch : json;
  if (!Array.isArray(list) || list.length === 0) throw new UsageError(`${file}: a list of examples is expected`);
  return list.map((item: unknown, index) => {
    const { ids, counts } = (item ?? {}) as { readonly ids?: unknown; readonly counts?: unknown };
    const isExample =
      isList(ids, Number.isSafeInteger) && isList(counts, Number.isFinite) && ids.length === counts.length;
    if (isExample && ids.length > 1) return { ids, counts };
    throw new UsageError(
      `${file}: example ${index} must have ids, two tokens or more, and counts, as many numbers of 0 or more`,
    );
  });
}

function isList(value: unknown, accepts: (item: unknown) => boolean): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => accepts(item) && Number(item) >= 0);
}
