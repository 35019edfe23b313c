// `polyllama tokenizer merge`: a vocabulary with the pieces of another one.

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { mergeVocabularies } from "polyllama";
import { UsageError } from "../../exit.ts";
import { count } from "../../format.ts";
import { note } from "../../terminal.ts";
import { checkOutput, writeWhole } from "../../text-files.ts";

interface MergeFlags {
  readonly output: string;
  readonly overwrite?: boolean;
}

export function addMerge(parent: Command): void {
  parent
    .command("merge")
    .summary("Append the pieces that a vocabulary lacks")
    .description(
      "Append to BASE the pieces of EXTRA that it lacks, with score 0, as Chinese-LLaMA does; all ids of BASE stay. " +
        "BASE is a tokenizer.model of type BPE, EXTRA one of any type.",
    )
    .argument("<base>", "tokenizer.model")
    .argument("<extra>", "tokenizer.model")
    .requiredOption("-o, --output <file>", "the tokenizer.model to write")
    .option("--overwrite", "replace the output")
    .action(async (base: string, extra: string, { output, overwrite }: MergeFlags) => {
      await checkOutput(output, overwrite);
      const [baseBytes, extraBytes] = [await readModel(base), await readModel(extra)];
      const { model, vocabSize, added } = mergeVocabularies(baseBytes, extraBytes, base, extra);
      await writeWhole(output, model);
      note(`${output}: ${count(vocabSize)} pieces, ${count(added.length)} of them new`);
    });
}

async function readModel(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw new UsageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
}
