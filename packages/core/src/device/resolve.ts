// What every device does with a step before it computes: checking it against the graph, and finding where every
// sequence stands and which rows each output wants. All of them refuse the same steps with the same words.

import { PolyllamaError } from "../errors.ts";
import type { Graph, GraphInput, ValueName, WeightName } from "../graph.ts";
import { nearestName } from "../nearest-name.ts";
import { isFixed, rowsIn, type TensorType } from "../type.ts";
import type { SequenceCache } from "./cache.ts";
import type { DeviceTensor, HostArray, Output, Step } from "./program.ts";

/** A sequence's place in a step. */
export interface SequencePlace {
  /** Its first row in the step. */
  readonly first: number;
  readonly rows: number;
  /** Position of its first row. */
  readonly start: number;
  readonly cache: SequenceCache | undefined;
  readonly adapter: string | undefined;
}

/** A step that was checked. */
export interface StepPlaces {
  /** Rows in all, N. */
  readonly rows: number;
  readonly sequences: readonly SequencePlace[];
  /** Rows of the step that each output wants, in order; of values of a fixed shape, all of their own rows. */
  readonly outputRows: readonly (readonly number[])[];
}

/** Whether an input lies on the device. */
export function isDeviceTensor(input: HostArray | DeviceTensor): input is DeviceTensor {
  return !ArrayBuffer.isView(input);
}

/** @throws {PolyllamaError} `ERR_GRAPH` naming what of the step does not fit */
export function resolveStep(graph: Graph, step: Step): StepPlaces {
  const rows = inputRows(graph, step);
  const sequences = placeSequences(step, rows);
  for (const name of Object.values(step.updates ?? {})) checkValue(graph, name);
  const outputRows = step.outputs.map((output) => {
    checkValue(graph, output.value);
    const type = graph.types.get(output.value)!; // as just checked
    return isFixed(type) ? fixedRows(output, type) : rowsOf(output, rows, sequences);
  });
  return { rows, sequences, outputRows };
}

function inputRows(graph: Graph, step: Step): number {
  let rows: number | undefined;
  for (const input of graph.inputs) {
    const data = step.inputs[input.name];
    if (data === undefined) throw new PolyllamaError("ERR_GRAPH", `The input "${input.name}" is missing.`);
    if (input.kind === "fixed") {
      checkFixed(input, data);
      continue;
    }
    const count = isDeviceTensor(data) ? tensorRows(input, data) : arrayRows(graph, input, data, rows);
    if (rows !== undefined && count !== rows) {
      throw new PolyllamaError("ERR_GRAPH", `The input "${input.name}" has ${count} rows, not ${rows}.`);
    }
    rows = count;
  }
  if (graph.inputs.length === 0) throw new PolyllamaError("ERR_GRAPH", "The graph has no inputs.");
  for (const name of Object.keys(step.inputs)) {
    if (!graph.inputs.some((input) => input.name === name)) {
      throw new PolyllamaError("ERR_GRAPH", `The graph has no input "${name}".`);
    }
  }
  return rows ?? 0;
}

type FixedInput = Extract<GraphInput, { kind: "fixed" }>;
/** An input that has a row for each row of a step. */
type RowsInput = Exclude<GraphInput, FixedInput>;

/** @throws {PolyllamaError} `ERR_GRAPH` for other than reals of the input's shape */
function checkFixed({ name, shape, width }: FixedInput, data: HostArray | DeviceTensor): void {
  const elements = shape.reduce((product, dim) => product * dim, 1);
  const fits = isDeviceTensor(data)
    ? data.kind === "activations" && data.shape[1] === width && data.shape[0] * width === elements
    : !(data instanceof Int32Array) && data.length === elements;
  if (fits) return;
  const given = isDeviceTensor(data) ? `${data.kind} [${data.shape}]` : `a ${data.constructor.name} of ${data.length}`;
  throw new PolyllamaError("ERR_GRAPH", `The input "${name}" holds reals [${shape}], not ${given}.`);
}

function tensorRows(input: RowsInput, { kind, shape }: DeviceTensor): number {
  const width = input.kind === "tokens" ? 1 : input.width;
  if (kind === input.kind && shape[1] === width) return shape[0];
  throw new PolyllamaError(
    "ERR_GRAPH",
    `The input "${input.name}" holds ${input.kind} of width ${width}, not ${kind} of width ${shape[1]}.`,
  );
}

function arrayRows(graph: Graph, input: RowsInput, data: HostArray, rows: number | undefined): number {
  const count = checkRows(input, data, rows);
  if (data instanceof Int32Array) checkTokens(graph, input.name, data);
  return count;
}

/**
 * Rows of an input from the host.
 *
 * @param expected Rows of other inputs of the step.
 * @throws {PolyllamaError} `ERR_GRAPH` for an array of another kind or length
 */
function checkRows(input: RowsInput, data: HostArray, expected: number | undefined): number {
  if (data instanceof Int32Array !== (input.kind === "tokens")) {
    throw new PolyllamaError(
      "ERR_GRAPH",
      `The input "${input.name}" holds ${input.kind}; it cannot be a ${data.constructor.name}.`,
    );
  }
  const width = input.kind === "tokens" ? 1 : input.width;
  const count = data.length / width;
  if (Number.isInteger(count) && count > 0 && (expected ?? count) === count) return count;
  throw new PolyllamaError(
    "ERR_GRAPH",
    `The input "${input.name}" has ${data.length} elements, not ${expected ?? "one or more"} rows of ${width}.`,
  );
}

/** @throws {PolyllamaError} `ERR_GRAPH` for a token that a table which looks the input up does not have. */
function checkTokens(graph: Graph, input: ValueName, tokens: Int32Array): void {
  for (const { table, least } of lookUps(graph, input)) {
    const rows = graph.weights.find(({ name }) => name === table)!.shape[0]!;
    const row = tokens.findIndex((token) => !(token >= least && token < rows));
    if (row >= 0) {
      throw new PolyllamaError(
        "ERR_GRAPH",
        `"${input}" has the token ${tokens[row]} in row ${row}; the table "${table}" has rows 0 to ${rows - 1}.`,
      );
    }
  }
}

/** The tables in which an input of tokens is looked up; a target of -1 is none. */
function lookUps(graph: Graph, input: ValueName): readonly { readonly table: WeightName; readonly least: number }[] {
  return graph.nodes.flatMap((node) => {
    if (node.op === "embedding" && node.tokens === input) return [{ table: node.table, least: 0 }];
    const scores = node.op === "logProbability" || node.op === "logProbabilityGrad";
    return scores && node.targets === input ? [{ table: node.weight, least: -1 }] : [];
  });
}

/** What every device counts to. */
const mostPositions = 2 ** 31;

function placeSequences(step: Step, total: number): readonly SequencePlace[] {
  const places: SequencePlace[] = [];
  const caches = new Set<SequenceCache>();
  let first = 0;
  for (const { rows, cache, position, adapter } of step.sequences) {
    if (!Number.isInteger(rows) || rows < 1) {
      throw new PolyllamaError("ERR_GRAPH", `A sequence cannot advance by ${rows} rows; the least is 1.`);
    }
    const start = cache?.length ?? position ?? 0;
    if (!(Number.isInteger(start) && start >= 0 && start + rows <= mostPositions)) {
      throw new PolyllamaError(
        "ERR_GRAPH",
        `A sequence of ${rows} rows cannot start at position ${start}; positions are whole numbers below 2^31.`,
      );
    }
    if (cache !== undefined) {
      if (caches.has(cache)) {
        throw new PolyllamaError("ERR_GRAPH", "Two sequences of one step share a cache; fork it first.");
      }
      if (position !== undefined) {
        throw new PolyllamaError("ERR_GRAPH", "A sequence with a cache continues at its length; leave `position` out.");
      }
      caches.add(cache);
    }
    places.push({ first, rows, start, cache, adapter });
    first += rows;
  }
  if (first === total) return places;
  throw new PolyllamaError("ERR_GRAPH", `The sequences have ${first} rows but the inputs ${total}.`);
}

/** All rows of a value that has the same ones in every step. @throws {PolyllamaError} `ERR_GRAPH` for less of it */
function fixedRows(output: Output, type: TensorType): readonly number[] {
  if ((output.to === "host" || output.to === "device") && output.rows === "all") return range(0, rowsIn(type, 0));
  throw new PolyllamaError(
    "ERR_GRAPH",
    `"${output.value}" is no value of rows, it is [${type.shape}]; ask for all of it, on the host or the device.`,
  );
}

function rowsOf(output: Output, rows: number, sequences: readonly SequencePlace[]): readonly number[] {
  if (output.to === "score") {
    if (output.targets.length === rows) return range(0, rows);
    throw new PolyllamaError(
      "ERR_GRAPH",
      `"${output.value}" is scored for ${output.targets.length} targets where the step has ${rows} rows.`,
    );
  }
  if (output.to !== "token") return output.rows === "all" ? range(0, rows) : lastRows(sequences);
  const drawn = lastRows(sequences, output.rows === "last" ? undefined : output.rows.lastPerSequence);
  if (drawn.length === output.draw.length) return drawn;
  throw new PolyllamaError(
    "ERR_GRAPH",
    `"${output.value}" gives ${drawn.length} rows to draw from, but there are ${output.draw.length} draws.`,
  );
}

/** The last so many rows of each sequence; one where nothing is said. */
function lastRows(sequences: readonly SequencePlace[], counts?: readonly number[]): readonly number[] {
  if (counts !== undefined && counts.length !== sequences.length) {
    throw new PolyllamaError(
      "ERR_GRAPH",
      `lastPerSequence has ${counts.length} entries where the step has ${sequences.length} sequences.`,
    );
  }
  return sequences.flatMap(({ first, rows }, i) => {
    const count = counts?.[i] ?? 1;
    if (Number.isInteger(count) && count >= 0 && count <= rows) return range(first + rows - count, first + rows);
    throw new PolyllamaError(
      "ERR_GRAPH",
      `lastPerSequence asks for ${count} rows of sequence ${i}, which has ${rows}.`,
    );
  });
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** @throws {PolyllamaError} `ERR_GRAPH` for a name that the graph does not define */
export function checkValue(graph: Graph, name: ValueName): void {
  if (graph.widths.has(name)) return;
  const nearest = nearestName(name, [...graph.widths.keys()]);
  const hint = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
  throw new PolyllamaError("ERR_GRAPH", `The graph has no value "${name}".${hint}`);
}
