// From a graph to launches, for one set of wanted values. What nobody asked for is fused away: norms into the linears that
// read them, gate and up into swiglu, rotation into the write to the cache, residuals into the linear before. Two modes exist: `few`
// serves sequences that advance by at most eight rows, as decoding does, `many` all others. Which mode computes a sequence depends
// on that sequence alone, so that its result does not depend on what else is in the step.
//
// A step of a plan is a function of where things are in memory, and gives launches.

import {
  type AttentionNode,
  type Graph,
  type LinearNode,
  type Node,
  operands,
  PolyllamaError,
  type RmsNormNode,
  type RopeNode,
  type SwigluNode,
  type ValueName,
} from "@polyllama/core";
import type { Handle } from "./driver/api.ts";
import type { RowExponents } from "./exponents.ts";
import { attentionSplit, partialWidth as partialWidthOf } from "./kernels/attention_split.ts";
import { attentionTiles } from "./kernels/attention_tiles.ts";
import { elementwise } from "./kernels/elementwise.ts";
import { embedding } from "./kernels/embedding.ts";
import { gatherRows } from "./kernels/gather_rows.ts";
import { gemm } from "./kernels/gemm.ts";
import { gemmMma } from "./kernels/gemm_mma.ts";
import { gemv } from "./kernels/gemv.ts";
import { mostHeadDim } from "./kernels/heads.ts";
import { type Norm, rmsNorm } from "./kernels/rms_norm.ts";
import { rope } from "./kernels/rope.ts";
import { ropeCache } from "./kernels/rope_cache.ts";
import { roundedStride, roundRows } from "./kernels/round_rows.ts";
import type { DeviceRows, Launch } from "./launch.ts";
import type { LoadedWeights } from "./weights/loaded.ts";

export type Mode = "few" | "many";

/** Most rows that a sequence of mode `few` advances by. */
export const fewRows = 8;
/** A matrix of activations; plans share memory among those that are not used at the same time. */
export interface Storage {
  /** Elements from row to row, a multiple of 4. */
  readonly stride: number;
  /** Whether it has a row for each selected row instead of each row. */
  readonly selected: boolean;
}

/** Where a value is. */
export interface Place {
  readonly storage: Storage;
  readonly offset: number;
  readonly width: number;
}

/** Where things are in a run. */
export interface Addresses {
  readonly rows: number;
  readonly selected: number;
  /** Parts of 256 keys that the longest cache may have. */
  readonly parts: number;
  readonly step: Handle;
  readonly selection: Handle;
  readonly rotation: Handle;
  readonly partials: Handle;
  storage(storage: Storage): Handle;
}

export interface PlanStep {
  /** For errors: the operation, its format and shapes. */
  readonly label: string;
  readonly storages: readonly Storage[];
  launches(at: Addresses): readonly Launch[];
}

export interface Plan {
  readonly mode: Mode;
  readonly steps: readonly PlanStep[];
  readonly outputs: ReadonlyMap<ValueName, Place>;
  /** Activations to be copied in. */
  readonly inputs: ReadonlyMap<ValueName, Place>;
  readonly tokens: ValueName | undefined;
  /** Rotations, each with its first column in a row of the table. */
  readonly rotations: readonly { readonly node: RopeNode; readonly offset: number }[];
  readonly rotationStride: number;
  /** Elements of partial attention sums per row and part. */
  readonly partialWidth: number;
  /** First and last step that uses a storage. */
  readonly lifetimes: ReadonlyMap<Storage, readonly [number, number]>;
}

export interface PlanOptions {
  readonly mode: Mode;
  /** Values wanted for all rows. */
  readonly all: ReadonlySet<ValueName>;
  /** Values wanted for the last rows of sequences. */
  readonly last: ReadonlySet<ValueName>;
  /** Whether caches are to be filled, also where nothing else needs it. */
  readonly fillsCaches: boolean;
  /** For linears of mode `many` on tensor cores; without them, these are computed in f32. */
  readonly exponents: RowExponents | undefined;
}

/** Rows of an activation start at whole vectors. */
function padded(width: number): number {
  return Math.ceil(width / 4) * 4;
}

/** Refuses what no kernel computes. @throws {PolyllamaError} `ERR_UNSUPPORTED` */
export function checkGraph(graph: Graph): void {
  for (const node of graph.nodes) {
    if (node.op !== "attention") continue;
    const { output, headDim } = node;
    if (headDim > mostHeadDim || headDim % 2 !== 0) {
      throw new PolyllamaError(
        "ERR_UNSUPPORTED",
        `attention ${output}: heads of ${headDim}; the CUDA backend computes heads of even size up to ${mostHeadDim}. Use the cpu backend.`,
      );
    }
  }
  const tokens = new Set(graph.nodes.flatMap((node) => (node.op === "embedding" ? [node.tokens] : [])));
  if (tokens.size > 1) {
    throw new PolyllamaError("ERR_UNSUPPORTED", "The CUDA backend computes graphs with one input of tokens.");
  }
}

export function makePlan(graph: Graph, weights: LoadedWeights, options: PlanOptions): Plan {
  const { mode, all, last, fillsCaches, exponents } = options;
  const nodes = new Map(graph.nodes.map((node) => [node.output, node]));
  const fills = (node: Node): boolean => node.op === "attention" && fillsCaches;
  const needed = neededValues(graph, nodes, options);
  const neededNodes = graph.nodes.filter((node) => needed.has(node.output) || fills(node));
  const consumers = new Map<ValueName, Node[]>();
  for (const node of neededNodes) {
    for (const name of reads(node, needed)) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  }
  const selected = mode === "few" ? new Set<ValueName>() : selectedValues(neededNodes, consumers, options);
  const asked = (name: ValueName): boolean => all.has(name) || last.has(name);
  const onlyConsumer = (name: ValueName): Node | undefined => {
    const readers = consumers.get(name) ?? [];
    return readers.length === 1 && !asked(name) ? readers[0] : undefined;
  };

  const steps: PlanStep[] = [];
  const places = new Map<ValueName, Place>();
  const gathered = new Map<ValueName, Place>();
  const inputs = new Map<ValueName, Place>();
  const rotations: { node: RopeNode; offset: number }[] = [];
  const done = new Set<Node>();
  /** What the linears that read them compute along: by `gemv` (norms), or as rows are rounded for tensor cores. */
  const norms = new Map<ValueName, RmsNormNode>();
  const products = new Map<ValueName, SwigluNode>();
  const rounded = new Map<string, Place>();
  let rotationStride = 0;
  let tokens: ValueName | undefined;
  let partialWidth = 0;

  const emit = (label: string, used: readonly Place[], launches: PlanStep["launches"]): void => {
    steps.push({ label, storages: used.map(({ storage }) => storage), launches });
  };
  const fresh = (width: number, isSelected: boolean): Place => {
    return { storage: { stride: padded(width), selected: isSelected }, offset: 0, width };
  };
  const define = (name: ValueName): Place => {
    const known = places.get(name);
    if (known !== undefined) return known;
    const place = fresh(graph.widths.get(name)!, selected.has(name));
    places.set(name, place);
    return place;
  };
  /** The value's rows, or the selected ones of them. */
  const operand = (name: ValueName, isSelected: boolean): Place => {
    const place = places.get(name)!;
    if (!isSelected || place.storage.selected) return place;
    const known = gathered.get(name);
    if (known !== undefined) return known;
    const target = fresh(place.width, true);
    gathered.set(name, target);
    emit(`rows of ${name}`, [place, target], (at) => [
      gatherRows(at.selected, at.selection, rowsAt(at, place), rowsAt(at, target)),
    ]);
    return target;
  };
  const rotationOf = (node: RopeNode): number => {
    const key = rotationKey(node);
    const same = rotations.find((other) => rotationKey(other.node) === key);
    if (same !== undefined) return same.offset;
    const offset = rotationStride;
    rotations.push({ node, offset });
    rotationStride += node.headDim / 2;
    return offset;
  };
  const rotationAt = (at: Addresses, offset: number | undefined): Handle =>
    offset === undefined ? 0n : at.rotation + BigInt(8 * offset);
  const normOf = (node: RmsNormNode | undefined): Norm | undefined =>
    node === undefined ? undefined : { weight: weights.vector(node.weight), eps: node.eps };
  const count = (at: Addresses, isSelected: boolean): number => (isSelected ? at.selected : at.rows);

  for (const input of graph.inputs) {
    if (!consumers.has(input.name) && !asked(input.name)) continue;
    if (input.kind === "tokens") tokens = input.name;
    else if (consumers.has(input.name)) {
      const place = fresh(input.width, false);
      places.set(input.name, place);
      inputs.set(input.name, place);
    }
  }

  /** Whether a linear is computed on tensor cores. */
  const rounds = (node: Node): boolean =>
    node.op === "linear" &&
    mode === "many" &&
    exponents !== undefined &&
    weights.layout.places.get(node.weight)!.matrix.format !== "f32";
  /** Whether only linears read a value that compute it along. */
  const fusible = (name: ValueName, fuses: (reader: Node) => boolean): boolean =>
    !asked(name) && (consumers.get(name) ?? []).every(fuses);
  /** The value's rows as tensor cores take them. */
  const roundedOperand = (name: ValueName, isSelected: boolean): Place => {
    const key = JSON.stringify([name, isSelected]);
    const known = rounded.get(key);
    if (known !== undefined) return known;
    const [norm, product] = [norms.get(name), products.get(name)];
    const x = operand(norm?.x ?? product?.gate ?? name, isSelected);
    const up = product === undefined ? undefined : operand(product.up, isSelected);
    const y: Place = { storage: { stride: roundedStride(x.width), selected: isSelected }, offset: 0, width: x.width };
    rounded.set(key, y);
    emit(`${name} in f16 [${x.width}]`, [x, ...(up === undefined ? [] : [up]), y], (at) => [
      roundRows(
        count(at, isSelected),
        rowsAt(at, x),
        { norm: normOf(norm), up: up === undefined ? undefined : rowsAt(at, up) },
        rowsAt(at, y),
      ),
    ]);
    return y;
  };

  /** Emits a linear, with the ones beside it in its matrix and what can be computed along with them. */
  const linear = (node: LinearNode): void => {
    const { matrix, row } = weights.layout.places.get(node.weight)!;
    const isSelected = selected.has(node.output);
    const members = neededNodes.filter(
      (other) =>
        other.op === "linear" &&
        !done.has(other) &&
        weights.layout.places.get(other.weight)!.matrix === matrix &&
        other.x === node.x &&
        selected.has(other.output) === isSelected,
    ) as readonly LinearNode[]; // the filter's first condition
    const rowsOf = (member: LinearNode): number => graph.widths.get(member.output)!;
    const whole =
      members.length > 1 && members.reduce((sum, member) => sum + rowsOf(member), 0) === matrix.rows && row === 0;
    const norm = norms.get(node.x);
    const x = rounds(node) ? roundedOperand(node.x, isSelected) : operand(norm?.x ?? node.x, isSelected);

    const readers = whole && members.length === 2 ? members.map((member) => onlyConsumer(member.output)) : [];
    const [reader] = readers;
    if (
      mode === "few" &&
      reader?.op === "swiglu" &&
      readers[1] === reader &&
      rowsOf(members[0]!) === rowsOf(members[1]!)
    ) {
      const [gate, up] = [reader.gate, reader.up].map((name) =>
        members.find((member) => member.output === name),
      ) as readonly LinearNode[]; // the swiglu's two operands
      const [gateRow, upRow] = [gate!, up!].map((member) => weights.layout.places.get(member.weight)!.row);
      const y = define(reader.output);
      done.add(gate!).add(up!).add(reader);
      emit(`swiglu ${reader.output} ${matrix.format} [${matrix.rows}, ${matrix.columns}]`, [x, y], (at) => [
        gemv(count(at, isSelected), rowsAt(at, x), weights.matrix(matrix, gateRow!), rowsAt(at, y), {
          norm: normOf(norm),
          up: upRow!,
        }),
      ]);
      return;
    }

    let y: Place;
    let residual: Place | undefined;
    if (whole) {
      y = fresh(matrix.rows, isSelected);
      for (const member of members) {
        done.add(member);
        const offset = weights.layout.places.get(member.weight)!.row;
        places.set(member.output, { storage: y.storage, offset, width: rowsOf(member) });
      }
    } else {
      done.add(node);
      const add = onlyConsumer(node.output);
      const other = add?.op === "add" && add.a !== add.b ? (add.a === node.output ? add.b : add.a) : undefined;
      if (add?.op === "add" && other !== undefined && places.has(other)) {
        residual = operand(other, isSelected);
        done.add(add);
        y = define(add.output);
      } else y = define(node.output);
    }
    const used = [x, y, ...(residual === undefined ? [] : [residual])];
    emit(`linear ${node.output} ${matrix.format} [${y.width}, ${matrix.columns}]`, used, (at) => {
      const [rows, w] = [count(at, isSelected), weights.matrix(matrix, row)];
      const [from, to] = [rowsAt(at, x), rowsAt(at, y)];
      const added = residual === undefined ? undefined : rowsAt(at, residual);
      if (mode === "few") return [gemv(rows, from, w, to, { norm: normOf(norm), residual: added })];
      if (rounds(node)) return [gemmMma(rows, from, w, exponents!.of(matrix), to, added)];
      return [gemm(rows, from, w, to, added)];
    });
  };

  const binary = (op: "add" | "swiglu", output: ValueName, a: ValueName, b: ValueName): void => {
    const isSelected = selected.has(output);
    const [left, right, y] = [operand(a, isSelected), operand(b, isSelected), define(output)];
    emit(`${op} ${output} [${y.width}]`, [left, right, y], (at) => [
      elementwise(op, count(at, isSelected), rowsAt(at, left), rowsAt(at, right), rowsAt(at, y)),
    ]);
  };

  for (const node of neededNodes) {
    if (done.has(node)) continue;
    const isSelected = selected.has(node.output);
    switch (node.op) {
      case "embedding": {
        const { matrix } = weights.layout.places.get(node.table)!;
        const y = define(node.output);
        emit(`embedding ${node.output} ${matrix.format} [${matrix.rows}, ${matrix.columns}]`, [y], (at) => [
          embedding(at.rows, at.step, weights.matrix(matrix, 0), rowsAt(at, y)),
        ]);
        break;
      }
      case "rmsNorm": {
        if (fusible(node.output, (reader) => (mode === "few" ? reader.op === "linear" : rounds(reader)))) {
          norms.set(node.output, node);
          break;
        }
        const [x, y] = [operand(node.x, isSelected), define(node.output)];
        emit(`rmsNorm ${node.output} [${y.width}]`, [x, y], (at) => [
          rmsNorm(count(at, isSelected), rowsAt(at, x), normOf(node)!, rowsAt(at, y)),
        ]);
        break;
      }
      case "linear":
        linear(node);
        break;
      case "rope": {
        const reader = onlyConsumer(node.output);
        if (
          reader?.op === "attention" &&
          reader.v !== node.output &&
          (reader.q === node.output) !== (reader.k === node.output)
        ) {
          break; // with the write to the cache
        }
        const [x, y, offset] = [operand(node.x, false), define(node.output), rotationOf(node)];
        emit(`rope ${node.output} [${y.width}]`, [x, y], (at) => [
          rope(
            at.rows,
            node.headDim,
            rowsAt(at, x),
            { address: rotationAt(at, offset), stride: rotationStride },
            rowsAt(at, y),
          ),
        ]);
        break;
      }
      case "attention":
        attention(node);
        break;
      case "swiglu":
        if (fusible(node.output, rounds)) {
          products.set(node.output, node);
          break;
        }
        binary("swiglu", node.output, node.gate, node.up);
        break;
      case "add":
        binary("add", node.output, node.a, node.b);
        break;
    }
  }

  function attention(node: AttentionNode): void {
    const { heads, kvHeads, headDim: d } = node;
    const rotation = (name: ValueName): RopeNode | undefined => {
      const rope = nodes.get(name);
      return rope?.op === "rope" && !places.has(name) ? rope : undefined;
    };
    const wanted = needed.has(node.output);
    const [qRope, kRope] = [wanted ? rotation(node.q) : undefined, rotation(node.k)];
    const k = operand(kRope?.x ?? node.k, false);
    const v = operand(node.v, false);
    const q = wanted ? operand(qRope?.x ?? node.q, false) : k;
    const rotated = qRope === undefined ? undefined : fresh(q.width, false);
    const [qOffset, kOffset] = [qRope, kRope].map((rope) => (rope === undefined ? undefined : rotationOf(rope)));
    const shape = { heads, kvHeads, headDim: d, before: elementsBefore(graph, node) };
    emit(`cache of ${node.output}`, [q, k, v, ...(rotated === undefined ? [] : [rotated])], (at) => [
      ropeCache({
        rows: at.rows,
        step: at.step,
        headDim: d,
        before: shape.before,
        q: rowsAt(at, q),
        k: rowsAt(at, k),
        v: rowsAt(at, v),
        rotated: rotated === undefined ? undefined : rowsAt(at, rotated),
        rotations: { q: rotationAt(at, qOffset), k: rotationAt(at, kOffset), stride: rotationStride },
      }),
    ]);
    if (!wanted) return;
    const queries = rotated ?? q;
    const y = define(node.output);
    if (mode === "many") {
      emit(`attention ${node.output}`, [queries, y], (at) =>
        attentionTiles(at.rows, at.step, shape, rowsAt(at, queries), rowsAt(at, y), exponents !== undefined),
      );
      return;
    }
    partialWidth = Math.max(partialWidth, partialWidthOf(shape));
    emit(`attention ${node.output}`, [queries, y], (at) =>
      attentionSplit(at.rows, at.step, shape, rowsAt(at, queries), at.partials, at.parts, rowsAt(at, y)),
    );
  }

  const outputs = new Map<ValueName, Place>();
  for (const name of all) if (nodes.has(name)) outputs.set(name, places.get(name)!);
  for (const name of last) {
    if (nodes.has(name) && !all.has(name)) outputs.set(name, operand(name, mode === "many"));
  }
  const lifetimes = new Map<Storage, [number, number]>();
  for (const { storage } of inputs.values()) lifetimes.set(storage, [0, 0]);
  for (const [index, { storages }] of steps.entries()) {
    for (const storage of storages) {
      const known = lifetimes.get(storage);
      if (known === undefined) lifetimes.set(storage, [index, index]);
      else known[1] = index;
    }
  }
  for (const { storage } of outputs.values()) lifetimes.get(storage)![1] = Number.POSITIVE_INFINITY;
  return { mode, steps, outputs, inputs, tokens, rotations, rotationStride, partialWidth, lifetimes };
}

function rowsAt(at: Addresses, { storage, offset, width }: Place): DeviceRows {
  return { address: at.storage(storage) + BigInt(4 * offset), width, stride: storage.stride };
}

/** Elements per position of the attentions before this one, keys and values. */
function elementsBefore(graph: Graph, node: AttentionNode): number {
  let elements = 0;
  for (const other of graph.nodes) {
    if (other === node) break;
    if (other.op === "attention") elements += 2 * other.kvHeads * other.headDim;
  }
  return elements;
}

function rotationKey({ headDim, theta, scaling }: RopeNode): string {
  return JSON.stringify([headDim, theta, scaling]);
}

/** What a node reads; an attention that only fills the cache reads no queries. */
function reads(node: Node, needed: ReadonlySet<ValueName>): readonly ValueName[] {
  return node.op === "attention" && !needed.has(node.output) ? [node.k, node.v] : operands(node);
}

function neededValues(
  graph: Graph,
  nodes: ReadonlyMap<ValueName, Node>,
  { all, last, fillsCaches }: PlanOptions,
): ReadonlySet<ValueName> {
  const needed = new Set<ValueName>([...all, ...last]);
  for (const node of [...graph.nodes].reverse()) {
    if (!needed.has(node.output) && !(node.op === "attention" && fillsCaches)) continue;
    for (const name of reads(node, needed)) if (nodes.has(name)) needed.add(name);
  }
  return needed;
}

/** Values of which only the last rows of sequences are needed. */
function selectedValues(
  neededNodes: readonly Node[],
  consumers: ReadonlyMap<ValueName, readonly Node[]>,
  { all, last }: PlanOptions,
): ReadonlySet<ValueName> {
  const selected = new Set<ValueName>();
  for (const node of [...neededNodes].reverse()) {
    if (node.op !== "linear" && node.op !== "rmsNorm" && node.op !== "add" && node.op !== "swiglu") continue;
    if (all.has(node.output)) continue;
    const readers = consumers.get(node.output) ?? [];
    if (readers.length === 0 && !last.has(node.output)) continue;
    if (readers.every((reader) => selected.has(reader.output))) selected.add(node.output);
  }
  return selected;
}
