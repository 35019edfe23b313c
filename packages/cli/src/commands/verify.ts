// `polyllama verify`: whether two checkpoints hold the same model, tensor by tensor.

import type { Command } from "commander";
import { type Comparison, compareCheckpoints } from "polyllama";
import { Exit } from "../exit.ts";
import { plural, table } from "../format.ts";
import { addHubOptions, type HubFlags } from "../hub.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { fitVocabulary, ignoreTensors, locations } from "../options.ts";
import { createProgress } from "../progress.ts";
import { heading, print, printJson } from "../terminal.ts";
import { number } from "../values.ts";

interface Options extends HubFlags {
  readonly tokenizer?: string;
  readonly ignoreTensors?: readonly string[];
  readonly fitVocabulary?: boolean;
  readonly tolerance: number;
  readonly tensors?: boolean;
  readonly json?: boolean;
}

export function addVerify(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("verify")
    .summary("Compare two checkpoints")
    .description(
      "Compare two checkpoints tensor by tensor, their configurations, and what they mean to text: tokens, BOS, end tokens, chat " +
        "template, offered sampling. Ends with 0 when they hold the same model, in whatever files and formats, and with 1 otherwise.",
    )
    .argument("<a>", locations)
    .argument("<b>", "the other one, likewise")
    .option("--tokenizer <path>", "tokenizer, or folder with one, in place of both models' own")
    .option(
      "--tolerance <x>",
      "largest error of a tensor: root mean square of the differences over that of A's values",
      number,
      0,
    )
    .addOption(ignoreTensors())
    .addOption(fitVocabulary())
    .option("--tensors", "list every tensor, not only those that differ")
    .option("--json", "print one object");
  addHubOptions(command).action((a: string, b: string, options: Options) => verify(a, b, options, interrupts));
}

async function verify(first: string, second: string, options: Options, { signal }: Interrupts): Promise<void> {
  const { tolerance, tensors: all = false, json = false } = options;
  // Options for the hub that neither location has a use for are refused with the first one.
  const { tokenizer, ignoreTensors, fitVocabulary } = options;
  const own = {
    ...(tokenizer !== undefined && { tokenizer }),
    ...(ignoreTensors && { ignoreTensors }),
    ...(fitVocabulary && { fitVocabulary }),
    json,
  };
  const forHub = (location: string): boolean => location.startsWith("hf:");
  await using a = await openModel(first, forHub(first) || !forHub(second) ? options : own, signal);
  await using b = await openModel(second, forHub(second) ? options : own, signal);
  using progress = createProgress({ json });
  const comparison = await compareCheckpoints(a, b, { tolerance, onProgress: progress.update, signal });
  progress[Symbol.dispose]();
  if (json) printJson({ a: a.name, b: b.name, tolerance, ...finite(comparison) });
  else printComparison(comparison, all, tolerance);
  if (!comparison.agrees) throw new Exit(1);
}

/** A value as JSON, which escapes what would steer a terminal. */
function short(value: unknown): string {
  const text = value === undefined ? "none" : (JSON.stringify(value) ?? "none");
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/** JSON has no infinity; null stands where there is nothing to compare. */
function finite(comparison: Comparison): object {
  const number = (value: number): number | null => (Number.isFinite(value) ? value : null);
  return {
    ...comparison,
    text: comparison.text.map(({ values, ...rest }) => ({ ...rest, values: values.map((value) => value ?? null) })),
    tensors: comparison.tensors.map(({ name, formats, shapes, ...rest }) => ({
      name,
      formats: formats.map((format) => format ?? null),
      shapes: shapes.map((shape) => shape ?? null),
      ...rest,
      maxError: number(rest.maxError),
      relativeError: number(rest.relativeError),
    })),
  };
}

function printComparison({ tensors, config, text, agrees }: Comparison, all: boolean, tolerance: number): void {
  const shown = tensors.filter(({ equalBits, agrees: same }) => all || !same || (!equalBits && tolerance > 0));
  if (shown.length > 0) {
    heading("Tensors");
    const rows = shown.map(({ name, formats: [a, b], shapes, equalBits, maxError, relativeError, agrees: same }) => {
      const [left, right] = shapes.map((shape) => (shape === undefined ? "missing" : `[${shape.join(", ")}]`));
      const errors = equalBits
        ? ["equal bits", ""]
        : Number.isFinite(maxError)
          ? [`max ${maxError.toPrecision(3)}`, `rms ${relativeError.toPrecision(3)}`]
          : [`${left} / ${right}`, ""];
      return [name, a === b ? (a ?? "") : `${a ?? "none"} / ${b ?? "none"}`, ...errors, same ? "" : "differs"];
    });
    for (const line of table(rows, [0, 1, 2, 3, 4])) print(`  ${line}`);
  }
  if (config.length > 0) heading("Configuration");
  for (const { field, values } of config) {
    print(`  ${field}: ${values.map((value) => JSON.stringify(value)).join(" / ")}`);
  }
  if (text.length > 0) heading("Text");
  for (const { field, values, rendersAlike } of text) {
    if (rendersAlike === true) print(`  ${field}: the templates differ in text, not in what they render`);
    else print(`  ${field}: ${values.map(short).join(" / ")}`);
  }
  const equal = tensors.filter(({ equalBits }) => equalBits).length;
  const within = tensors.filter(({ agrees: same }) => same).length;
  const within0 = tolerance === 0 ? "with equal values" : `within ${tolerance}`;
  const sums = `${plural(tensors.length, "tensor")}: ${equal} with equal bits, ${within} ${within0}`;
  print(`${agrees ? "the same model" : "different"} | ${sums}`);
}
