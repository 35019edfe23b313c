// What is computed together. A value that nobody asks for and a single node reads needs no place of its own: norms go
// into the linears that read them, gate and up into swiglu, residuals into the linear before, rotations into the write
// to the cache. Which of these a backend has kernels for is data; what comes out is the graph again, of fewer and
// larger nodes, still by value names.

import {
  type AddNode,
  type AttentionNode,
  byOp,
  type EmbeddingNode,
  type FormatName,
  forTraining,
  type Graph,
  type LinearNode,
  type Node,
  type NodeOf,
  type PerNode,
  type RmsNormNode,
  type RopeNode,
  type SwigluNode,
  UnsupportedError,
  type ValueName,
} from "@polyllama/core";
import type { Needs, RowSet } from "./needs.ts";
import type { PlainOp } from "./plan.ts";
import { sameRotation } from "./rotations.ts";
import type { StoredWeights, WeightGroup } from "./weight-groups.ts";

/**
 * Kernels that a backend may have:
 * `normLinear`: a linear that normalizes its input on the way;
 * `linearAdd`: a linear that adds another matrix to its result;
 * `linearSwiglu`: a linear over the rows of gate and up that gives silu(gate) up;
 * `addNorm`: an addition that also gives the norm of its result;
 * `ropeCache`: a write to the cache that rotates keys, and queries beside them;
 * `ropeAttention`: an attention that rotates queries and keys itself, both alike.
 */
export type Fusion = "normLinear" | "linearAdd" | "linearSwiglu" | "addNorm" | "ropeCache" | "ropeAttention";

/** Linears whose kernels take their input in a form of its own, such as f16 in pairs with an exponent for each row. */
export interface Conversion {
  /** Formats of the weights that are multiplied so. */
  readonly formats: ReadonlySet<FormatName>;
  /** What is computed along with the conversion. */
  readonly absorbs: readonly ("rmsNorm" | "swiglu")[];
  /** A converted row: so many words for each so many values, and some at its end. */
  readonly values: number;
  readonly words: number;
  readonly extraWords: number;
}

/** What a backend has kernels for, beside those of single ops. */
export interface FusionPreferences {
  /** Kernels for all rows, and those that are used where only selected rows are computed. */
  readonly fusions: Readonly<Record<RowSet, ReadonlySet<Fusion>>>;
  /** Whether a linear may have some of the rows of its group, where not all of them are needed. */
  readonly partialGroups: boolean;
  readonly conversion?: Conversion | undefined;
  /** With `ropeAttention`: heads are multiples of this. */
  readonly ropeAttentionMultiple?: number;
}

/** The input of a linear: a value, or what is computed from it on the way. */
export interface LinearInput {
  /** The value that the graph has. */
  readonly value: ValueName;
  readonly norm: RmsNormNode | undefined;
  readonly swiglu: SwigluNode | undefined;
  /** Whether it is converted; norm and swiglu are then computed with that. */
  readonly converted: boolean;
}

/** Linears that are multiplied together, in the order of their rows. */
export interface FusedLinear {
  readonly kind: "linear";
  readonly nodes: readonly LinearNode[];
  readonly group: WeightGroup;
  /** Whether it is all of the group, needed or not; otherwise the rows of the one node. */
  readonly whole: boolean;
  readonly input: LinearInput;
  /** The addition that follows, and its other operand. */
  readonly residual: { readonly node: AddNode; readonly other: ValueName } | undefined;
  /** The swiglu that has the results of both nodes. */
  readonly gated: SwigluNode | undefined;
}

export interface FusedAttention {
  readonly kind: "attention";
  readonly node: AttentionNode;
  /** Whether it only fills the cache. */
  readonly cacheOnly: boolean;
  /** Rotations that are done on the way. */
  readonly qRope: RopeNode | undefined;
  readonly kRope: RopeNode | undefined;
}

export type FusedNode =
  | { readonly kind: "embedding"; readonly node: EmbeddingNode }
  | { readonly kind: "rmsNorm"; readonly node: RmsNormNode }
  | FusedLinear
  | { readonly kind: "rope"; readonly node: RopeNode }
  | FusedAttention
  | { readonly kind: "plain"; readonly node: NodeOf<PlainOp> }
  | { readonly kind: "add"; readonly node: AddNode; readonly norm: RmsNormNode | undefined };

interface Fusing {
  readonly needs: Needs;
  readonly weights: Pick<StoredWeights, "places">;
  readonly preferences: FusionPreferences;
  readonly fused: FusedNode[];
  /** Values that are computed by what was fused so far, and inputs. */
  readonly computed: Set<ValueName>;
  /** Nodes that whoever reads their output computes, by that. */
  readonly absorbed: Map<ValueName, Node>;
}

/** @returns what is to be computed, in an order in which it can be. */
export function fuse(
  graph: Graph,
  needs: Needs,
  weights: Pick<StoredWeights, "places">,
  preferences: FusionPreferences,
): readonly FusedNode[] {
  const f: Fusing = { needs, weights, preferences, fused: [], computed: new Set(), absorbed: new Map() };
  const own = new Set(needs.nodes.map(({ output }) => output));
  for (const value of graph.widths.keys()) {
    if (needs.readers.has(value) && !own.has(value)) f.computed.add(value);
  }
  for (const node of needs.nodes) if (!f.computed.has(node.output)) byOp(fusers, node, f);
  return f.fused;
}

function emit(f: Fusing, node: FusedNode, ...computed: readonly ValueName[]): void {
  f.fused.push(node);
  for (const value of computed) f.computed.add(value);
}

/** An op that is a step of its own. */
function plain(node: NodeOf<PlainOp>, f: Fusing): void {
  emit(f, { kind: "plain", node }, node.output);
}

/** @throws {UnsupportedError} for an op that backends who plan refuse before they come here */
function unplanned({ op, output }: Node): void {
  throw new UnsupportedError(`${op} ${output}: there are no plans for training`, "Use the reference backend.", { op });
}

const fusers: PerNode<[Fusing], void> = {
  embedding: (node, f) => emit(f, { kind: "embedding", node }, node.output),
  rmsNorm(node, f) {
    const along = (reader: Node): boolean =>
      converts(f, reader, "rmsNorm") ||
      (reader.op === "linear" && !isConverted(f, reader) && has(f, "normLinear", node.output));
    if (isRead(f, node.output, along)) f.absorbed.set(node.output, node);
    else emit(f, { kind: "rmsNorm", node }, node.output);
  },
  linear: fuseLinear,
  rope(node, f) {
    const attention = onlyReader(f, node.output);
    const rotates =
      attention?.op === "attention" && (rotatesWithCache(node, attention, f) || rotatesBoth(attention, f));
    if (rotates) f.absorbed.set(node.output, node);
    else emit(f, { kind: "rope", node }, node.output);
  },
  attention(node, f) {
    const cacheOnly = f.needs.cacheOnly.has(node.output);
    const qRope = cacheOnly ? undefined : absorbed(f, "rope", node.q);
    emit(f, { kind: "attention", node, cacheOnly, qRope, kRope: absorbed(f, "rope", node.k) }, node.output);
  },
  swiglu(node, f) {
    if (isRead(f, node.output, (reader) => converts(f, reader, "swiglu"))) f.absorbed.set(node.output, node);
    else plain(node, f);
  },
  add(node, f) {
    const rows = f.needs.rows.get(node.output);
    const norm = has(f, "addNorm", node.output)
      ? f.needs.readers
          .get(node.output)
          ?.find((next): next is RmsNormNode => next.op === "rmsNorm" && f.needs.rows.get(next.output) === rows)
      : undefined;
    emit(f, { kind: "add", node, norm }, node.output, ...(norm === undefined ? [] : [norm.output]));
  },
  ...forTraining(unplanned),
};

function fuseLinear(node: LinearNode, f: Fusing): void {
  const { needs, weights, preferences } = f;
  const { group } = weights.places.get(node.weight)!;
  const rowOf = (member: LinearNode): number => weights.places.get(member.weight)!.firstRow;
  const beside = needs.nodes
    .filter((other) => other.op === "linear")
    .filter((other) => other.x === node.x && weights.places.get(other.weight)!.group === group)
    .sort((a, b) => rowOf(a) - rowOf(b));
  const whole = group.members.length > 1 && (beside.length === group.members.length || !preferences.partialGroups);
  const input: LinearInput = {
    value: node.x,
    norm: absorbed(f, "rmsNorm", node.x),
    swiglu: absorbed(f, "swiglu", node.x),
    converted: isConverted(f, node),
  };
  const common = { kind: "linear", group, whole, input } as const;
  if (whole) {
    const gated = gatedBy(beside, group, f);
    const outputs = gated === undefined ? beside.map(({ output }) => output) : [gated.output];
    for (const { output } of beside) f.computed.add(output);
    emit(f, { ...common, nodes: beside, residual: undefined, gated }, ...outputs);
    return;
  }
  const add = has(f, "linearAdd", node.output) ? onlyReader(f, node.output) : undefined;
  const other = add?.op === "add" && add.a !== add.b ? (add.a === node.output ? add.b : add.a) : undefined;
  const residual = add?.op === "add" && other !== undefined && f.computed.has(other) ? { node: add, other } : undefined;
  emit(f, { ...common, nodes: [node], residual, gated: undefined }, residual?.node.output ?? node.output);
  f.computed.add(node.output);
}

/** The swiglu of two linears, where the first of them is its gate. */
function gatedBy(nodes: readonly LinearNode[], group: WeightGroup, f: Fusing): SwigluNode | undefined {
  const [gate, up] = nodes;
  if (gate === undefined || up === undefined || nodes.length !== 2 || group.members.length !== 2) return undefined;
  const [reader, other] = nodes.map(({ output }) => onlyReader(f, output));
  if (reader?.op !== "swiglu" || reader !== other || !has(f, "linearSwiglu", gate.output)) return undefined;
  return reader;
}

/** Whether a backend has a kernel for the rows of a value. */
function has({ needs, preferences }: Fusing, fusion: Fusion, value: ValueName): boolean {
  return preferences.fusions[needs.rows.get(value)!].has(fusion);
}

/** The node that alone reads a value that nobody asks for. */
function onlyReader({ needs }: Fusing, value: ValueName): Node | undefined {
  const readers = needs.readers.get(value) ?? [];
  return readers.length === 1 && !needs.isAsked(value) ? readers[0] : undefined;
}

/** Whether nobody asks for a value and all that read it are such. */
function isRead({ needs }: Fusing, value: ValueName, such: (reader: Node) => boolean): boolean {
  return !needs.isAsked(value) && (needs.readers.get(value) ?? []).every(such);
}

function isConverted({ weights, preferences: { conversion } }: Fusing, node: LinearNode): boolean {
  return conversion?.formats.has(weights.places.get(node.weight)!.group.format) === true;
}

/** Whether a node converts its input and computes an operation with that. */
function converts(f: Fusing, node: Node, op: "rmsNorm" | "swiglu"): boolean {
  return node.op === "linear" && isConverted(f, node) && f.preferences.conversion?.absorbs.includes(op) === true;
}

function absorbed<Op extends "rmsNorm" | "swiglu" | "rope">(
  f: Fusing,
  op: Op,
  value: ValueName,
): NodeOf<Op> | undefined {
  const node = f.absorbed.get(value);
  return node?.op === op ? (node as NodeOf<Op>) : undefined; // the comparison says so, but not to the compiler
}

/** Whether the write to the cache can rotate: as keys or as queries, not both, and not as values. */
function rotatesWithCache({ output }: RopeNode, { q, k, v }: AttentionNode, f: Fusing): boolean {
  return has(f, "ropeCache", output) && v !== output && (q === output) !== (k === output);
}

/** Whether attention can rotate queries and keys: both alike, and read by nothing else. */
function rotatesBoth(node: AttentionNode, f: Fusing): boolean {
  if (!has(f, "ropeAttention", node.output) || node.headDim % (f.preferences.ropeAttentionMultiple ?? 1) !== 0)
    return false;
  const ropeOf = (value: ValueName): RopeNode | undefined => {
    const rope = f.needs.nodes.find((candidate) => candidate.output === value);
    return rope?.op === "rope" && onlyReader(f, value) === node && rope.headDim === node.headDim ? rope : undefined;
  };
  const [q, k] = [ropeOf(node.q), ropeOf(node.k)];
  return (
    q !== undefined && k !== undefined && q !== k && node.v !== q.output && node.v !== k.output && sameRotation(q, k)
  );
}
