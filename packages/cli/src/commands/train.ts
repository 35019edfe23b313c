// `polyllama train`: pre-training, of a new model or a checkpoint, on texts.

import { basename } from "node:path";
import { type Example, encodeDocument, type MixturePart, recipes } from "@polyllama/training";
import { openTokenFile, type TokenFile } from "@polyllama/training/node";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Checkpoint, PolyllamaError } from "polyllama";
import { UsageError } from "../exit.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { locations } from "../options.ts";
import { createHint } from "../progress.ts";
import { type DocumentOptions, type DocumentsAre, readDocuments } from "../training/documents.ts";
import { newModel } from "../training/models.ts";
import { addTrainingOptions, type TrainingFlags } from "../training/options.ts";
import { train, trainingBackend } from "../training/run.ts";

interface Flags extends TrainingFlags, DocumentOptions {
  readonly config?: string;
  readonly model?: string;
  readonly tokenizer?: string;
  readonly documents: DocumentsAre;
  readonly shares?: readonly number[];
}

export function addTrain(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("train")
    .summary("Train a model on texts")
    .description(
      "Train a new model, or go on with a checkpoint, on text files and JSONL, with the paper's recipe where no option says " +
        "otherwise. Checkpoints are folders that every command and transformers read; Ctrl-C saves one.",
    )
    .argument(
      "<files...>",
      "texts in UTF-8: .jsonl has one in each line, another file is one; or .tokens, tokenized before",
    )
    .addOption(new Option("--config <file>", "config.json of a new model").conflicts("model"))
    .option("-m, --model <location>", `checkpoint to begin with: ${locations}`)
    .option("--tokenizer <path>", "tokenizer, or folder with one; a new model needs it")
    .addOption(
      new Option("--documents <are>", "what is a document of a text file").choices(["files", "lines"]).default("files"),
    )
    .option("--field <name>", "field of JSONL that has the text", "text")
    .option("--shares <list>", "of what is seen, by .tokens file: 0.5,0.3,0.2 (default: as they are long)", shares);
  addTrainingOptions(command, "what the model is asked to continue").action((files: string[], flags: Flags) =>
    run(files, flags, interrupts),
  );
}

async function run(files: readonly string[], flags: Flags, interrupts: Interrupts): Promise<void> {
  const { signal } = interrupts;
  await using model = await startingModel(flags, signal);
  const read = (paths: readonly string[]): Promise<readonly Example[]> => readExamples(paths, model, flags, signal);
  await using opened = new OpenFiles();
  const isTokens = files.some((file) => file.endsWith(".tokens"));
  if (flags.shares !== undefined && !isTokens) throw new UsageError("--shares are of .tokens files");
  const examples = isTokens ? await tokenFiles(files, model, flags, opened) : await read(files);
  if (examples.length === 0) throw new UsageError(`${files.join(", ")}: there is no text to train on`);
  const validation = await read(flags.validation ?? []);
  await using device = await trainingBackend(flags);
  await train(
    {
      device,
      model,
      examples,
      validation,
      manner: "split",
      recipe: recipes["pretrain-7b"],
      sample: async (llama, prompt, maxTokens, signal) => {
        const { text } = await llama.complete(prompt, { maxTokens, temperature: 0, ...(signal && { signal }) });
        return text;
      },
    },
    flags,
    interrupts,
  );
}

async function startingModel(flags: Flags, signal: AbortSignal): Promise<Checkpoint> {
  const { config, model, tokenizer, seed, json = false } = flags;
  if (model !== undefined) return openModel(model, { json, ...(tokenizer !== undefined && { tokenizer }) }, signal);
  if (config === undefined) {
    throw new UsageError(
      "give --config with the configuration of a new model, or --model with a checkpoint to begin with",
    );
  }
  if (tokenizer === undefined)
    throw new UsageError("a new model needs --tokenizer; `polyllama tokenizer train` makes one");
  return newModel(config, tokenizer, seed, signal);
}

/** Files that are closed together. */
class OpenFiles implements AsyncDisposable {
  readonly #files: TokenFile[] = [];

  add(file: TokenFile): TokenFile {
    this.#files.push(file);
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files) await file[Symbol.asyncDispose]();
  }
}

/** Files of tokens as a mixture; who opened them closes them. */
async function tokenFiles(
  files: readonly string[],
  { tokenizer, name }: Checkpoint,
  { shares: given }: Flags,
  opened: OpenFiles,
): Promise<readonly MixturePart[]> {
  const other = files.find((file) => !file.endsWith(".tokens"));
  if (other !== undefined)
    throw new UsageError(`${other} is no .tokens file; texts and tokens do not mix, tokenize it first`);
  if (given !== undefined && given.length !== files.length) {
    throw new UsageError(`--shares names ${given.length} shares for ${files.length} files`);
  }
  if (tokenizer === undefined) {
    throw new PolyllamaError("ERR_TOKENIZER", `${name} has no tokenizer; give --tokenizer.`);
  }
  const parts: MixturePart[] = [];
  for (const [i, file] of files.entries()) {
    const source = opened.add(await openTokenFile(file, tokenizer));
    parts.push({ name: basename(file, ".tokens"), source, weight: given?.[i] ?? source.tokens });
  }
  return parts;
}

/** "0.5,0.3,0.2" */
function shares(text: string): readonly number[] {
  return text.split(",").map((part) => {
    const share = Number(part);
    if (part.trim() !== "" && share > 0 && Number.isFinite(share)) return share;
    throw new InvalidArgumentError("Expected numbers above 0, by commas.");
  });
}

async function readExamples(
  files: readonly string[],
  { tokenizer, name }: Checkpoint,
  flags: Flags,
  signal: AbortSignal,
): Promise<readonly Example[]> {
  if (tokenizer === undefined) {
    throw new PolyllamaError("ERR_TOKENIZER", `${name} has no tokenizer; give --tokenizer.`);
  }
  using _ = createHint("reading texts", flags);
  const examples: Example[] = [];
  for await (const text of readDocuments(files, flags, signal)) examples.push(encodeDocument(tokenizer, text));
  return examples;
}
