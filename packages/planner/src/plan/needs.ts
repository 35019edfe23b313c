// What a run asks for, and which nodes and rows that takes. Most runs want logits of some rows alone, those that a run
// selects (the last ones of sequences); what no attention depends on is then computed for these rows only, so that
// behind the last attention a prompt of 512 rows goes on as one. Caches are filled also where nobody asks for what
// attention gives.

import { appended, forTraining, type Graph, type Node, type OpName, operands, type ValueName } from "@polyllama/core";
import type { StoredWeights } from "./weight-groups.ts";

/** All rows of a step, or those that it selects. */
export type RowSet = "all" | "selected";

/** What a plan is to give. */
export interface PlanRequest {
  /** Values asked for in all rows. */
  readonly all: ReadonlySet<ValueName>;
  /** Values asked for in the selected rows. */
  readonly selected: ReadonlySet<ValueName>;
  /** Whether attentions fill their caches, also where nothing else needs them. */
  readonly fillsCaches: boolean;
}

/** How a backend computes what is needed. */
export interface NeedPreferences {
  /** Whether there are kernels for selected rows; otherwise all rows are computed, as where every row is selected. */
  readonly selectsRows: boolean;
  /** Whether keys and values can be cached without attending to them. */
  readonly cachesAlone: boolean;
  /** Whether embeddings are looked up by the host, so that they are inputs of the plan. */
  readonly hostEmbeddings?: boolean;
}

/** What is computed for a request. */
export interface Needs {
  /** In the graph's order. */
  readonly nodes: readonly Node[];
  /** Outputs of these nodes, with the rows that are computed. */
  readonly rows: ReadonlyMap<ValueName, RowSet>;
  /** The nodes that read a value, by value. */
  readonly readers: ReadonlyMap<ValueName, readonly Node[]>;
  /** Attentions, by output, that only fill their caches. */
  readonly cacheOnly: ReadonlySet<ValueName>;
  /** Whether a value is asked for, so that it must be there when the plan has run. */
  isAsked(value: ValueName): boolean;
}

/**
 * Which nodes a request takes, and of which rows.
 *
 * @param weights Where weights are stored: linears of one group are computed for the same rows.
 */
export function findNeeds(
  graph: Graph,
  request: PlanRequest,
  weights: Pick<StoredWeights, "places">,
  preferences: NeedPreferences,
): Needs {
  const isAsked = (value: ValueName): boolean => request.all.has(value) || request.selected.has(value);
  const onHost = (node: Node): boolean => node.op === "embedding" && preferences.hostEmbeddings === true;
  const needed = new Set<ValueName>([...request.all, ...request.selected]);
  const cacheOnly = new Set<ValueName>();
  const nodes: Node[] = [];
  const readers = new Map<ValueName, Node[]>();
  for (const node of [...graph.nodes].reverse()) {
    const kept = appended(node);
    const fills = kept.length > 0 && request.fillsCaches;
    if (!(needed.has(node.output) || fills) || onHost(node)) continue;
    const alone = kept.length > 0 && !needed.has(node.output) && preferences.cachesAlone;
    if (alone) cacheOnly.add(node.output);
    nodes.unshift(node);
    for (const value of new Set(alone ? kept : operands(node))) {
      needed.add(value);
      readers.set(value, [node, ...(readers.get(value) ?? [])]);
    }
  }
  const rows = findRows(nodes, readers, request, weights, preferences.selectsRows);
  return { nodes, rows, readers, cacheOnly, isAsked };
}

/** Whether an operation computes a row from nothing but the same row of its operands, wherever it stands. */
const rowWise: Readonly<Record<OpName, boolean>> = {
  embedding: false, // its tokens are not selected
  rmsNorm: true,
  linear: true,
  rope: false,
  attention: false,
  swiglu: true,
  add: true,
  ...forTraining(false), // as nothing is selected of it
};

/** A value is computed for selected rows where all that read it are, and nobody asks for more. */
function findRows(
  nodes: readonly Node[],
  readers: ReadonlyMap<ValueName, readonly Node[]>,
  { all, selected }: PlanRequest,
  { places }: Pick<StoredWeights, "places">,
  selectsRows: boolean,
): ReadonlyMap<ValueName, RowSet> {
  const rows = new Map<ValueName, RowSet>();
  for (const node of [...nodes].reverse()) {
    const reading = readers.get(node.output) ?? [];
    const few =
      selectsRows &&
      rowWise[node.op] &&
      !all.has(node.output) &&
      (reading.length > 0 || selected.has(node.output)) &&
      reading.every(({ output }) => rows.get(output) === "selected");
    rows.set(node.output, few ? "selected" : "all");
    if (node.op !== "linear") continue;
    // What is multiplied together is computed for the same rows.
    const { group } = places.get(node.weight)!;
    const beside = nodes.filter(
      (other) => other.op === "linear" && other.x === node.x && places.get(other.weight)!.group === group,
    );
    if (beside.some(({ output }) => rows.get(output) === "all"))
      for (const { output } of beside) if (rows.has(output)) rows.set(output, "all");
  }
  return rows;
}
