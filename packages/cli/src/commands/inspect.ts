// `polyllama inspect`: what a checkpoint is and what running it takes, from its headers alone.

import { totalmem } from "node:os";
import { type Command, Option } from "commander";
import { type Checkpoint, type LlamaConfig, parameterCount } from "polyllama";
import { type BackendName, backendNames, createBackend } from "../backends.ts";
import { bytes, count, plural, table } from "../format.ts";
import { addHubOptions, type HubFlags } from "../hub.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { type MemoryRow, memoryRows } from "../memory.ts";
import { fitVocabulary, ignoreTensors, locations } from "../options.ts";
import { type PlannedBackend, plannedBackends, printedPlans } from "../plans.ts";
import { heading, print, printJson } from "../terminal.ts";
import { describeText, textFacts } from "../text-setup.ts";
import { type Probing, probe } from "../webgpu/probe.ts";

interface Options extends HubFlags {
  readonly tokenizer?: string;
  readonly ignoreTensors?: readonly string[];
  readonly fitVocabulary?: boolean;
  readonly tensors?: boolean;
  readonly plan?: PlannedBackend;
  readonly json?: boolean;
}

type Tensor = Pick<Checkpoint["stored"][number], "name" | "shape" | "format" | "bytes">;

export function addInspect(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("inspect")
    .summary("Describe a checkpoint")
    .description(
      "Describe a checkpoint: architecture, tokenizer and chat template, tensors, formats, memory. Loads no weights.",
    )
    .argument("<location>", locations)
    .option("--tokenizer <path>", "tokenizer, or folder with one, for models that come without one")
    .addOption(ignoreTensors())
    .addOption(fitVocabulary())
    .option("--tensors", "list every tensor instead of one line for all layers")
    .addOption(new Option("--plan <backend>", "list the steps in which a backend computes it").choices(plannedBackends))
    .option("--json", "print one object: config, parameters, tokenizer, notices, tensors, memory");
  addHubOptions(command).action((location: string, options: Options, own: Command) =>
    inspect(location, options, interrupts, own.optsWithGlobals()["verbose"] === true),
  );
}

async function inspect(location: string, options: Options, { signal }: Interrupts, verbose: boolean): Promise<void> {
  const { tensors: all = false, plan, json = false } = options;
  await using checkpoint = await openModel(location, options, signal);
  const { config, kind, name, stored, notices } = checkpoint;
  const parameters = parameterCount(config);
  const tensors: readonly Tensor[] = stored.map(({ name, shape, format, bytes }) => ({ name, shape, format, bytes }));
  const totals = formatTotals(tensors);
  const memory = await memoryTable(checkpoint, { signal, verbose, json });
  const text = textFacts(checkpoint);
  const plans = plan && (await printedPlans(plan, checkpoint));

  if (json) {
    const { rows, unavailable } = memory;
    printJson({
      name,
      kind,
      config,
      parameters,
      tokenizer: text ?? null,
      notices,
      tensors,
      formats: totals,
      memory: rows,
      unavailable,
      ...(plans !== undefined && { plans }),
    });
    return;
  }
  heading(name);
  print(`${kind}, ${plural(parameters, "parameter")}, ${bytes(sum(tensors.map((tensor) => tensor.bytes)))}`);
  print();
  heading("Architecture");
  for (const line of table(describeConfig(config), [0, 1])) print(`  ${line}`);
  print();
  heading("Text");
  for (const line of table(describeText(text), [0, 1])) print(`  ${line}`);
  print();
  if (notices.length > 0) {
    heading("Notices");
    for (const line of notices) print(`  ${line}`);
    print();
  }
  heading("Tensors");
  for (const line of table(all ? tensors.map((tensor) => tensorRow(tensor)) : tensorGroups(tensors), [0, 1, 2]))
    print(`  ${line}`);
  print();
  heading("Formats");
  for (const line of table(totals.map((t) => [t.format, plural(t.tensors, "tensor"), bytes(t.bytes)])))
    print(`  ${line}`);
  print();
  printMemory(memory);
  for (const [mode, lines] of Object.entries(plans ?? {})) {
    print();
    heading(`Plan of ${plan}, ${mode}`);
    for (const line of lines) print(`  ${line}`);
  }
}

function describeConfig(config: LlamaConfig): string[][] {
  const { dim, layers, heads, kvHeads, headDim, hiddenDim, vocabSize, contextLength, ropeTheta, ropeScaling } = config;
  const sharing = kvHeads === heads ? "multi-head" : kvHeads === 1 ? "multi-query" : "grouped-query";
  const scaling = ropeScaling.type === "none" ? "" : `, ${ropeScaling.type} scaling by ${ropeScaling.factor}`;
  return [
    ["layers", count(layers)],
    ["width", `${count(dim)}, feed-forward ${count(hiddenDim)}`],
    ["attention", `${sharing}: ${heads} heads of ${headDim}, ${kvHeads} for keys and values`],
    ["rotation", `theta ${ropeTheta}${scaling}`],
    ["context", plural(contextLength, "token")],
    ["norm epsilon", `${Number(config.normEps.toPrecision(6))}`],
    [
      "vocabulary",
      `${plural(vocabSize, "token")}, output matrix ${config.tiedEmbeddings ? "tied to the embedding" : "of its own"}`,
    ],
  ];
}

function tensorRow({ name, shape, format, bytes: size }: Tensor, slices = 1): string[] {
  return [name, `${slices > 1 ? `${slices} x ` : ""}[${shape.join(", ")}]`, format, bytes(size)];
}

/** One row for the same tensor of all layers, and for its slices in several files, where they are stored alike. */
function tensorGroups(tensors: readonly Tensor[]): string[][] {
  const groups = new Map<
    string,
    { readonly name: string; readonly layers: Set<number>; readonly first: Tensor; count: number; bytes: number }
  >();
  for (const tensor of tensors) {
    const layer = /(?<=^|\.)\d+(?=\.)/.exec(tensor.name);
    const name = layer === null ? tensor.name : tensor.name.replace(layer[0], "*");
    const key = JSON.stringify([name, tensor.shape, tensor.format]);
    const group = groups.get(key) ?? { name, layers: new Set(), first: tensor, count: 0, bytes: 0 };
    groups.set(key, group);
    if (layer !== null) group.layers.add(Number(layer[0]));
    group.count++;
    group.bytes += tensor.bytes;
  }
  return [...groups.values()].map(({ name, layers, first, count, bytes }) =>
    tensorRow(
      { ...first, name: layers.size < 2 ? first.name : name.replace("*", `{${ranges([...layers])}}`), bytes },
      count / Math.max(1, layers.size),
    ),
  );
}

/** [0, 1, 2, 5] -> "0-2,5" */
function ranges(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (sorted[end + 1] === sorted[end]! + 1) end++;
    parts.push(end === i ? `${sorted[i]}` : `${sorted[i]}-${sorted[end]}`);
    i = end + 1;
  }
  return parts.join(",");
}

function formatTotals(tensors: readonly Tensor[]): { format: string; tensors: number; bytes: number }[] {
  const totals = new Map<string, { format: string; tensors: number; bytes: number }>();
  for (const { format, bytes } of tensors) {
    const total = totals.get(format) ?? { format, tensors: 0, bytes: 0 };
    totals.set(format, { format, tensors: total.tensors + 1, bytes: total.bytes + bytes });
  }
  return [...totals.values()].sort((a, b) => b.bytes - a.bytes);
}

interface Memory {
  readonly rows: readonly MemoryRow[];
  /** Why a backend is not among them. */
  readonly unavailable: readonly { readonly backend: BackendName; readonly reason: string }[];
}

async function memoryTable({ config, weights }: Checkpoint, probing: Probing): Promise<Memory> {
  const rows: MemoryRow[] = [];
  const unavailable: Memory["unavailable"][number][] = [];
  for (const name of backendNames) {
    if (name === "webgpu") {
      const subject = { config, weights: [...weights] };
      const result = await probe("memory", { ...probing, seconds: 30, subject });
      if ("answer" in result) rows.push(...result.answer);
      else unavailable.push({ backend: name, reason: result.reason });
      continue;
    }
    try {
      await using backend = await createBackend({ backend: name });
      rows.push(...memoryRows(backend, name, config, weights));
    } catch (error) {
      unavailable.push({ backend: name, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { rows, unavailable };
}

function printMemory({ rows, unavailable }: Memory): void {
  heading("Memory: weights + cache of one sequence + scratch");
  const contexts = [...new Set(rows.map(({ context }) => context))];
  const lines = new Map<string, string[]>();
  for (const { backend, format, context, total } of rows) {
    // A backend that computes with one format whatever is stored needs one row.
    const same = rows.every((row) => row.backend !== backend || row.context !== context || row.total === total);
    const name = same ? "any" : format === "stored" ? "as stored" : format;
    const line = lines.get(`${backend} ${name}`) ?? [backend, name];
    if (line.length < 2 + contexts.length) line.push(`${bytes(total)}${total > totalmem() ? " !" : "  "}`);
    lines.set(`${backend} ${name}`, line);
  }
  const header = ["backend", "weights", ...contexts.map((context) => `${plural(context, "token")}  `)];
  for (const line of table([header, ...lines.values()], [0, 1])) print(`  ${line}`);
  if (rows.some(({ total }) => total > totalmem())) print(`  ! more than this machine's ${bytes(totalmem())}`);
  for (const { backend, reason } of unavailable) print(`  ${backend}: ${reason}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}
