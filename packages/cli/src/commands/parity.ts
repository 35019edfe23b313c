// `polyllama parity`: do the backends agree on this device, with this model? Operation by operation and layer by layer against
// bounds that follow from arithmetic, then the logits of a text. What judges is the float64 reference.

import { access, constants, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { dirname, resolve } from "node:path";
import {
  affordableTokens,
  compareModel,
  comparisonTables,
  htmlReport,
  type ModelComparison,
  type Table,
  type Unavailable,
} from "@polyllama/conformance";
import type { Backend } from "@polyllama/core";
import { poet } from "@polyllama/model-poet";
import type { Command } from "commander";
import { Option } from "commander";
import type { Checkpoint } from "polyllama";
import { type BackendName, type BackendOptions, backendName, createBackend } from "../backends.ts";
import { Exit, UsageError } from "../exit.ts";
import { plural, seconds, table } from "../format.ts";
import { addHubOptions, type HubFlags } from "../hub.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { fitVocabulary, ignoreTensors, locations } from "../options.ts";
import { createProgress } from "../progress.ts";
import { heading, note, print, printJson } from "../terminal.ts";
import { integer } from "../values.ts";
import { version } from "../version.ts";

export interface ParityOptions extends HubFlags {
  /** Default: the embedded poet. */
  readonly model?: string;
  readonly tokenizer?: string;
  readonly ignoreTensors?: readonly string[];
  readonly fitVocabulary?: boolean;
  readonly backends: readonly BackendName[];
  /** int8 for onnxruntime, f16 for cuda, f32 for both. */
  readonly activations?: "int8" | "f16" | "f32";
  readonly threads?: number;
  readonly text?: string;
  readonly tokens?: number;
  readonly layers?: "all";
  readonly seed: number;
  /** One object on standard output, in place of the tables. */
  readonly json?: boolean;
  /** The same object in a file. */
  readonly jsonFile?: string;
  readonly report?: string;
}

export interface ParityContext {
  readonly signal: AbortSignal;
  /** What makes the backends. */
  readonly createBackend: (options: BackendOptions) => Promise<Backend>;
}

/** Seconds that a comparison may take by default; a text of the program's own is cut to fit. */
const patience = 180;
const defaultTokens = 64;

/** What is read when nothing is given: a tale and a poem, which any language model finds ordinary. */
const ownText =
  "Once upon a time there was a poor man who had a little daughter. Every day they went into the forest to gather wood, " +
  "and in the evening they sat by the fire and told each other stories. One day a bird came to the window and said: " +
  "Let me in, for the night is cold and the wind is strong.\n" +
  "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n";

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
        .default(["onnxruntime", "reference"], "onnxruntime,reference")
        .argParser(names),
    )
    .addOption(
      new Option(
        "--activations <type>",
        "activations of matrix products: int8 on onnxruntime, f16 on cuda, f32 on both " +
          "(default: f32 on onnxruntime, f16 on cuda)",
      ).choices(["int8", "f16", "f32"]),
    )
    .option("-t, --threads <n>", "threads of the onnxruntime backend (default: its choice)", integer(1))
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
    throw new UsageError(
      "the reference cannot be compared with itself; name another backend, such as --backends onnxruntime",
    );
  }
  checkOwners(options);
  if (jsonFile !== undefined) await checkFolder("--json-file", jsonFile);
  if (report !== undefined) await checkFolder("--report", report);
  const started = performance.now();
  await using checkpoint = await openModel(model, options, signal);
  const candidates: (Backend | Unavailable)[] = [];
  try {
    for (const name of names) candidates.push(await create(name, options, context));
    const tokens = chooseTokens(checkpoint, candidates.filter(isBackend), options);
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
    for (const candidate of candidates) if (isBackend(candidate)) await candidate[Symbol.asyncDispose]();
  }
}

const activationOwners = { int8: ["onnxruntime"], f16: ["cuda"], f32: ["onnxruntime", "cuda"] } as const;

/** @throws {UsageError} for an option that none of the backends has. */
function checkOwners({ backends, threads, activations }: ParityOptions): void {
  const check = (option: string, owners: readonly BackendName[]): void => {
    if (backends.some((name) => owners.includes(name))) return;
    throw new UsageError(`--${option} belongs to ${owners.join(" and ")}, and --backends is ${backends.join(",")}`);
  };
  if (threads !== undefined) check("threads", ["onnxruntime"]);
  if (activations !== undefined) check(`activations ${activations}`, activationOwners[activations]);
}

/** Refuses a file that could not be written after all the work. @throws {UsageError} */
async function checkFolder(option: string, file: string): Promise<void> {
  const folder = dirname(resolve(file));
  await access(folder, constants.W_OK).catch(() => {
    throw new UsageError(`${option} ${file}: the folder ${folder} does not exist or cannot be written to`);
  });
}

/** The backend, or why there is none; onnxruntime with f32 activations unless others are asked for, and no packed weights kept. */
async function create(
  name: BackendName,
  { activations, threads }: ParityOptions,
  context: ParityContext,
): Promise<Backend | Unavailable> {
  const owners: readonly BackendName[] = activations === undefined ? [] : activationOwners[activations];
  const asked = activations !== undefined && owners.includes(name) ? { activations } : {};
  const onnxruntime = name === "onnxruntime" && {
    activations: "f32" as const,
    cache: false,
    ...(threads !== undefined && { threads }),
  };
  try {
    return await context.createBackend({ backend: name, ...onnxruntime, ...asked });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return { name, reason: error instanceof Error ? error.message : String(error) };
  }
}

function isBackend(candidate: Backend | Unavailable): candidate is Backend {
  return "compile" in candidate;
}

/** Tokens of the text, or what takes their place where there is no tokenizer. */
function chooseTokens(
  { config, tokenizer, name }: Checkpoint,
  backends: readonly Backend[],
  { text, tokens: wanted, layers }: ParityOptions,
): readonly number[] {
  const { contextLength, vocabSize } = config;
  if (text !== undefined) {
    if (tokenizer === undefined) throw new UsageError(`${name} has no tokenizer for --text; give one with --tokenizer`);
    const ids = tokenizer.encode(text);
    if (ids.length === 0 || ids.length > contextLength) {
      throw new UsageError(`--text has ${plural(ids.length, "token")}; 1 to ${contextLength} are possible`);
    }
    return ids;
  }
  if (wanted !== undefined && wanted > contextLength) {
    throw new UsageError(`--tokens ${wanted} exceeds the model's context of ${contextLength}`);
  }
  const opLayers = layers === "all" ? config.layers : 3;
  const affordable = affordableTokens(config, backends, { seconds: patience, opLayers });
  const most = Math.min(defaultTokens, contextLength);
  const count = wanted ?? Math.min(most, affordable);
  if (wanted === undefined && count < most) {
    note(
      `${plural(count, "token")} instead of ${most}, as the reference would need more than ${seconds(patience)} for them; ` +
        "--tokens N takes N all the same.",
    );
  }
  const own = tokenizer?.encode(ownText) ?? Array.from({ length: count }, (_, i) => (i * 7919 + 1) % vocabSize);
  return Array.from({ length: count }, (_, i) => own[i % own.length]!);
}

function printComparison({ backends, tokens }: ModelComparison): void {
  for (const backend of backends) {
    if (backend.status === "not run") continue;
    const { device } = backend;
    heading(`${backend.name}: ${device.device}`);
    const details = Object.entries(device.details).map(([key, value]) => `${key} ${value}`);
    if (details.length > 0) print(details.join(", "));
    for (const found of comparisonTables(backend, tokens.length)) printTable(found);
    print();
  }
  for (const { status, verdict } of backends) {
    print(verdict, status === "agrees" ? "green" : "red");
  }
}

function printTable({ title, header, rows }: Table): void {
  print();
  heading(title);
  const texts = rows.map((row) => row.map(({ text, differs }) => (differs ? `${text} !` : text)));
  const lines = table(header.some((cell) => cell !== "") ? [header, ...texts] : texts, [0, 1, 2]);
  for (const line of lines) print(`  ${line}`);
}

function names(list: string): readonly BackendName[] {
  const chosen = list.split(",").map((name) => name.trim());
  return [...new Set(chosen.map(backendName))];
}
