// `polyllama tokenizer`: text to ids and back; vocabularies trained, merged and compared.

import type { Command } from "commander";
import type { Interrupts } from "../interrupts.ts";
import { addDecode, addEncode } from "./tokenizer/ids.ts";
import { addMerge } from "./tokenizer/merge.ts";
import { addStats } from "./tokenizer/stats.ts";
import { addTrain } from "./tokenizer/train.ts";

export function addTokenizer(program: Command, { signal }: Interrupts): void {
  const command = program
    .command("tokenizer")
    .summary("Encode, decode, train, merge and compare vocabularies")
    .description("Text to token ids and back; vocabularies trained on a corpus, merged, and compared on texts.");
  addEncode(command, signal);
  addDecode(command, signal);
  addTrain(command, signal);
  addMerge(command);
  addStats(command, signal);
}
