// `polyllama convert` and `polyllama quantize`: one checkpoint out of another, in another layout, in other formats, or
// both.

import { type Command, InvalidArgumentError } from "commander";
import {
  mergeAdapter,
  openAdapter,
  quantizedFormats,
  type TargetFormat,
  type TensorRule,
  targetFormats,
  type WriteOptions,
  type Written,
  writeGguf,
  writeSafetensors,
} from "polyllama";
import { UsageError } from "../exit.ts";
import { bytes, plural, seconds } from "../format.ts";
import { addHubOptions, type HubFlags } from "../hub.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { adapters, fitVocabulary, ignoreTensors, locations } from "../options.ts";
import { createProgress } from "../progress.ts";
import { note, print, printJson } from "../terminal.ts";
import { formatOption, integer } from "../values.ts";

interface Options extends HubFlags {
  readonly format: TargetFormat;
  readonly tensors?: readonly TensorRule[];
  readonly requantize?: boolean;
  readonly shardSize?: number;
  readonly overwrite?: boolean;
  readonly threads?: number;
  readonly tokenizer?: string;
  readonly ignoreTensors?: readonly string[];
  readonly fitVocabulary?: boolean;
  readonly adapter?: string;
  readonly json?: boolean;
}

const blocks = targetFormats.filter((format) => !["f32", "f16", "bf16"].includes(format));

export function addConvert(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("convert")
    .summary("Write a checkpoint in another layout or format")
    .description(
      "Write a checkpoint in another layout or format. DEST decides about the layout: a name ending in .gguf is a GGUF file, " +
        "one ending in .safetensors a single file, anything else a folder in Hugging Face's layout. The tokenizer and the " +
        "chat template go along. Files appear under their names when they are whole and on the disk.",
    )
    .argument("<source>", locations)
    .argument("<dest>", "file or folder to write")
    .addOption(
      formatOption("--format <name>", "format of the matrices; keep: as they are", ["keep", ...targetFormats]).default(
        "keep",
      ),
    );
  addWriteOptions(command).action((source: string, dest: string, options: Options) =>
    convert(source, dest, options, interrupts),
  );
}

export function addQuantize(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("quantize")
    .summary("Write a checkpoint as a quantized GGUF file")
    .description(
      "Write a checkpoint as a quantized GGUF file. A format's name means every matrix; q4_k_m, q4_k_s, q5_k_m and q5_k_s are " +
        "llama.cpp's mixtures, which give more bits to the matrices that need them. Norms stay f32.",
    )
    .argument("<source>", locations)
    .argument("<dest>", "the .gguf file to write")
    .addOption(formatOption("--format <name>", "format of the matrices", blocks).makeOptionMandatory());
  addWriteOptions(command).action((source: string, dest: string, options: Options) => {
    if (!dest.endsWith(".gguf")) throw new UsageError("only GGUF files hold quantized weights; DEST must end in .gguf");
    return convert(source, dest, options, interrupts);
  });
}

function addWriteOptions(command: Command): Command {
  command
    .option(
      "--tensors <pattern=format>",
      "another format for tensors of that name, such as 'blk.{0-3}.attn_v=q8_0'; repeatable, the last one holds",
      rule,
    )
    .option("--requantize", "quantize also what is quantized already, at a loss")
    .option(
      "--shard-size <size>",
      "most bytes in a file, such as 2GB (default: 5GB in folders, else one file)",
      fileSize,
    )
    .option("--overwrite", "replace the output")
    .option("-t, --threads <n>", "threads that convert (default: all)", integer(1))
    .option("--tokenizer <path>", "tokenizer, or folder with one, for models that come without one")
    .addOption(ignoreTensors())
    .addOption(fitVocabulary())
    .option("--adapter <path>", `${adapters} to merge; what it changes is f32 before --format`)
    .option("--json", "print one object: files, tensors, bytes, seconds, peak memory");
  return addHubOptions(command);
}

async function convert(source: string, dest: string, options: Options, { signal }: Interrupts): Promise<void> {
  const { format, tensors, requantize, shardSize, overwrite, threads } = options;
  await using model = await openModel(source, options, signal);
  await using adapter =
    options.adapter === undefined ? undefined : await openAdapter(options.adapter, model.config, { signal });
  for (const notice of adapter?.notices ?? []) note(notice);
  const checkpoint = adapter === undefined ? model : mergeAdapter(model, adapter);
  using progress = createProgress(options);
  const started = performance.now();
  const given: WriteOptions = {
    format,
    ...(tensors !== undefined && { tensors }),
    ...(requantize !== undefined && { requantize }),
    ...(shardSize !== undefined && { shardBytes: shardSize }),
    ...(overwrite !== undefined && { overwrite }),
    ...(threads !== undefined && { threads }),
    onProgress: progress.update,
    onNote: note,
    signal,
  };
  const write = dest.endsWith(".gguf") ? writeGguf : writeSafetensors;
  const written = await write(dest, checkpoint, given);
  progress[Symbol.dispose]();
  const elapsed = (performance.now() - started) / 1000;
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  for (const line of substitutes(written)) note(line);
  if (options.json) {
    const tensors = written.tensors.map(({ name, format: own, insteadOf }) => ({ name, format: own, insteadOf }));
    printJson({ files: written.files, bytes: written.bytes, seconds: elapsed, peakBytes, tensors });
    return;
  }
  const pace = `${seconds(elapsed)}, ${bytes(written.bytes / elapsed)}/s`;
  const parts = written.files.length === 1 ? "" : ` in ${plural(written.files.length, "file")}`;
  const size = `${plural(written.tensors.length, "tensor")}, ${bytes(written.bytes)}${parts}`;
  note(`${size} | ${pace} | peak memory ${bytes(peakBytes)}`);
  print(dest);
}

/** Lines about formats that rows did not fit. */
function substitutes({ tensors }: Written): string[] {
  const groups = new Map<string, string[]>();
  for (const { name, format, insteadOf } of tensors) {
    if (insteadOf === undefined) continue;
    const key = `${format} instead of ${insteadOf}, of which their rows are no whole blocks`;
    groups.set(key, [...(groups.get(key) ?? []), name]);
  }
  return [...groups].map(([what, names]) => `${plural(names.length, "tensor")}, such as ${names[0]}: ${what}`);
}

function rule(text: string, earlier: readonly TensorRule[] = []): readonly TensorRule[] {
  const [, pattern, name = ""] = /^(.+)=([a-z0-9_]+)$/i.exec(text) ?? [];
  const format = targetFormats.find((known) => known === name.toLowerCase());
  if (pattern === undefined || format === undefined || !isPlain(format)) {
    throw new InvalidArgumentError(
      `PATTERN=FORMAT is expected, with one of ${targetFormats.filter(isPlain).join(", ")}.`,
    );
  }
  return [...earlier, { pattern, format }];
}

/** Whether it is a format of a tensor, and not a mixture. */
function isPlain(format: TargetFormat): format is TensorRule["format"] {
  return ["f32", "f16", "bf16", ...quantizedFormats].includes(format);
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

function fileSize(text: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const value = Math.floor(Number(amount) * (units[unit.toLowerCase()] ?? Number.NaN));
  if (value >= 1) return value;
  throw new InvalidArgumentError("A size is expected, such as 500MB or 2GiB.");
}
