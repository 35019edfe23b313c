// What every backend does with a step before it computes: checking it against the graph, finding where every sequence stands, and making
// room for what is wanted. All of them refuse the same steps with the same words.

import type { KvCache, RealArray, Step, Tensor, Wanted } from "./backend.ts";
import { ContextOverflowError, PolyllamaError } from "./errors.ts";
import type { Graph, GraphInput, ValueName } from "./graph.ts";

/** What every device counts to. */
const mostPositions = 2 ** 31;

/** A sequence's place in a run. */
export interface ResolvedSequence {
  /** Its first row in the step. */
  readonly first: number;
  readonly rows: number;
  /** Position of its first row. */
  readonly start: number;
  readonly cache: KvCache | undefined;
}

/** A step that was checked, with the place of every sequence in it. */
export interface ResolvedStep {
  /** Rows in all, N. */
  readonly rows: number;
  readonly sequences: readonly ResolvedSequence[];
}

/**
 * Checks a step against its graph and works out where every sequence stands.
 *
 * @throws {PolyllamaError} `ERR_GRAPH`; {@link ContextOverflowError}
 */
export function resolveStep(graph: Graph, step: Step): ResolvedStep {
  let rows: number | undefined;
  for (const input of graph.inputs) {
    const data = step.inputs[input.name];
    if (data === undefined) throw new PolyllamaError("ERR_GRAPH", `The input "${input.name}" is missing.`);
    rows = checkRows(input, data, rows);
  }
  if (rows === undefined) throw new PolyllamaError("ERR_GRAPH", "The graph has no inputs.");
  for (const name of Object.keys(step.inputs)) {
    if (!graph.inputs.some((input) => input.name === name)) {
      throw new PolyllamaError("ERR_GRAPH", `The graph has no input "${name}".`);
    }
  }

  const sequences: ResolvedSequence[] = [];
  const caches = new Set<KvCache>();
  let first = 0;
  for (const { rows: count, cache, position } of step.batch ?? [{ rows }]) {
    if (!Number.isInteger(count) || count < 1) {
      throw new PolyllamaError("ERR_GRAPH", `A sequence cannot advance by ${count} rows; the least is 1.`);
    }
    if (position !== undefined && !(Number.isInteger(position) && position >= 0 && position + count <= mostPositions)) {
      throw new PolyllamaError(
        "ERR_GRAPH",
        `A sequence of ${count} rows cannot start at position ${position}; positions are whole numbers below 2^31.`,
      );
    }
    if (cache !== undefined) {
      if (caches.has(cache))
        throw new PolyllamaError("ERR_GRAPH", "Two sequences of one step share a cache; fork it first.");
      if (position !== undefined)
        throw new PolyllamaError("ERR_GRAPH", "A sequence with a cache continues at its length; leave `position` out.");
      caches.add(cache);
      const needed = cache.length + count;
      if (needed > cache.capacity) {
        throw new ContextOverflowError(
          needed,
          cache.capacity,
          "Shorten the input, rewind the cache or create one with more capacity.",
        );
      }
    }
    sequences.push({ first, rows: count, start: cache?.length ?? position ?? 0, cache });
    first += count;
  }
  for (const [name, data] of Object.entries(step.inputs)) {
    if (data instanceof Int32Array) checkTokens(graph, name, data);
  }
  if (first !== rows) throw new PolyllamaError("ERR_GRAPH", `The sequences have ${first} rows but the inputs ${rows}.`);
  return { rows, sequences };
}

/**
 * Rows of an input from the host.
 *
 * @param expected Rows of other inputs of the step.
 * @throws {PolyllamaError} `ERR_GRAPH` for an array of another kind or length
 */
export function checkRows(input: GraphInput, data: Int32Array | RealArray, expected: number | undefined): number {
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
export function checkTokens(graph: Graph, input: ValueName, tokens: Int32Array): void {
  for (const node of graph.nodes) {
    if (node.op !== "embedding" || node.tokens !== input) continue;
    const rows = graph.weights.find(({ name }) => name === node.table)!.shape[0]!;
    const row = tokens.findIndex((token) => !(token >= 0 && token < rows));
    if (row >= 0) {
      throw new PolyllamaError(
        "ERR_GRAPH",
        `"${input}" has the token ${tokens[row]} in row ${row}; the table "${node.table}" has rows 0 to ${rows - 1}.`,
      );
    }
  }
}

/** What is wanted, in one form. */
export interface ResolvedWanted {
  readonly value: ValueName;
  readonly rows: "all" | "last";
}

/** Name and rows of what is wanted. @throws {PolyllamaError} `ERR_GRAPH` for a name that the graph does not define. */
export function resolveWanted(graph: Graph, wanted: Wanted): ResolvedWanted {
  const resolved = typeof wanted === "string" ? { value: wanted, rows: "all" as const } : wanted;
  if (!graph.widths.has(resolved.value)) {
    throw new PolyllamaError("ERR_GRAPH", `The graph has no value "${resolved.value}".`);
  }
  return resolved;
}

/** Tensors for what is wanted, in order; values that are inputs of the graph are there, the others zero. */
export function wantedTensors(
  graph: Graph,
  step: Step,
  { rows, sequences }: ResolvedStep,
  wanted: readonly ResolvedWanted[],
): readonly Tensor[] {
  return wanted.map(({ value, rows: which }): Tensor => {
    const width = graph.widths.get(value)!;
    const count = which === "all" ? rows : sequences.length;
    const data = new Float32Array(count * width); // [count, width]
    const input = step.inputs[value];
    if (input !== undefined && which === "all") data.set(input);
    else if (input !== undefined) {
      for (const [index, { first, rows }] of sequences.entries()) {
        const last = first + rows - 1;
        data.set(input.subarray(last * width, (last + 1) * width), index * width);
      }
    }
    return { shape: [count, width], data };
  });
}
