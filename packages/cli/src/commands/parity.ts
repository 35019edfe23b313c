// `polyllama parity`: do the backends agree on this device, with this model? Operation by operation and layer by layer
// against bounds that follow from arithmetic, then the logits of a text. What judges is the float64 reference.

import { access, constants, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { dirname, resolve } from "node:path";
import { compareModel, htmlReport, type Unavailable } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import type { Command } from "commander";
import { Option } from "commander";
import { type BackendName, backendName, createBackend } from "../backends.ts";
import { Exit, UsageError } from "../exit.ts";
import { plural, seconds } from "../format.ts";
import { addHubOptions } from "../hub.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { fitVocabulary, ignoreTensors, locations } from "../options.ts";
import { checkOwners, create, isDevice } from "../parity/candidates.ts";
import type { ParityContext, ParityOptions } from "../parity/options.ts";
import { printComparison } from "../parity/print.ts";
import { chooseTokens, defaultTokens } from "../parity/text.ts";
import { createProgress } from "../progress.ts";
import { note, printJson } from "../terminal.ts";
import { integer } from "../values.ts";
import { version } from "../version.ts";

export function addParity(program: Command, { signal }: Interrupts): void {
  const command = program
    .command("parity")
    .summary("Compare backends on this device")
    .description(
      "Compare backends on this device with the float64 reference: each operation, each layer, the logits of a text. " +
        "Ends with 0 only when all agree.",
    )
    .option("-m, --model <location>", `${locations} (default: the poet)`)
    .option("--tokenizer <path>", "tokenizer, or folder with one, for models that come without one")
    .addOption(ignoreTensors())
    .addOption(fitVocabulary())
    .addOption(
      new Option("--backends <names>", "backends to compare")
        .default(["cpu", "reference"], "cpu,reference")
        .argParser(names),
    )
    .addOption(
      new Option(
        "--activations <type>",
        "activations of matrix products: int8 on cpu and onnxruntime, f16 on cuda, f32 on all three " +
          "(default: f32 on cpu and onnxruntime, f16 on cuda)",
      ).choices(["int8", "f16", "f32"]),
    )
    .option("-t, --threads <n>", "threads of the cpu and onnxruntime backends (default: their choice)", integer(1))
    .addOption(new Option("--text <text>", "the text to read (default: one of its own)").conflicts("tokens"))
    .option(
      "--tokens <n>",
      `tokens of the default text (default: ${defaultTokens}, fewer for large models)`,
      integer(1),
    )
    .addOption(
      new Option("--layers <which>", "layers to compare operation by operation (default: first, middle, last)").choices(
        ["all"],
      ),
    )
    .option("-s, --seed <n>", "for the perturbations that tolerances are estimated from", integer(0), 1)
    .option("--json", "print one object in place of the tables")
    .option("--json-file <file>", "write the same object into a file")
    .option("--report <file>", "write a report in HTML, with a plot");
  addHubOptions(command).action((options: ParityOptions) => runParity(options, { signal, createBackend }));
}

/** The command. @throws {Exit} with code 1 unless all backends agree. */
export async function runParity(options: ParityOptions, context: ParityContext): Promise<void> {
  const { model = poet, seed, layers, json: toOutput = false, jsonFile, report } = options;
  const { signal } = context;
  const names = options.backends.filter((name) => name !== "reference");
  if (names.length === 0) {
    throw new UsageError("the reference cannot be compared with itself; name another backend, such as --backends cpu");
  }
  checkOwners(options);
  if (jsonFile !== undefined) await checkFolder("--json-file", jsonFile);
  if (report !== undefined) await checkFolder("--report", report);
  const started = performance.now();
  await using checkpoint = await openModel(model, options, signal);
  const candidates: (Device | Unavailable)[] = [];
  try {
    for (const name of names) candidates.push(await create(name, options, context));
    const tokens = chooseTokens(checkpoint, candidates.filter(isDevice), options);
    const { config } = checkpoint;
    if (!options.backends.includes("reference")) note("The reference judges, so it is added.");
    using progress = createProgress(options);
    const comparison = await compareModel(checkpoint, candidates, {
      tokens,
      seed,
      ...(layers !== undefined && { layers }),
      onProgress: progress.update,
      signal,
    });
    progress[Symbol.dispose]();

    const facts = {
      polyllama: version(),
      node: process.version,
      platform: `${process.platform} ${process.arch}, ${release()}`,
      date: new Date().toISOString(),
      seconds: Math.round((performance.now() - started) / 100) / 10,
    };
    const object = { ...facts, ...comparison };
    if (toOutput) printJson(object);
    else printComparison(comparison);
    if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify(object, undefined, 2)}\n`);
    if (report !== undefined) {
      const { opLayers, runs } = comparison;
      const about = {
        layers: config.layers,
        tokens: tokens.length,
        "operations of layers": opLayers.join(", "),
        runs,
        seed,
      };
      await writeFile(
        report,
        htmlReport(comparison, { ...facts, ...about }, ...(options.model === undefined ? ["the embedded poet"] : [])),
      );
      if (!toOutput) note(`report: ${report}`);
    }
    if (!toOutput) note(`${plural(tokens.length, "token")}, ${seconds(facts.seconds)}`);
    if (!comparison.agrees) throw new Exit(1);
  } finally {
    for (const candidate of candidates) if (isDevice(candidate)) await candidate[Symbol.asyncDispose]();
  }
}

/** Refuses a file that could not be written after all the work. @throws {UsageError} */
async function checkFolder(option: string, file: string): Promise<void> {
  const folder = dirname(resolve(file));
  await access(folder, constants.W_OK).catch(() => {
    throw new UsageError(`${option} ${file}: the folder ${folder} does not exist or cannot be written to`);
  });
}

function names(list: string): readonly BackendName[] {
  const chosen = list.split(",").map((name) => name.trim());
  return [...new Set(chosen.map(backendName))];
}
