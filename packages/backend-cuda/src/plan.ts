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
import type { Launch, Parameter } from "./gpu.ts";
import type { LoadedWeights, MatrixPlace } from "./weights.ts";

export type Mode = "few" | "many";

/** Most rows that a sequence of mode `few` advances by. */
export const fewRows = 8;
/** Keys that a block of attention_split sees; the kernel's constant is the same. */
export const partKeys = 256;
/** Most query heads that a block of attention_rows and attention_mma takes. */
const headsPerBlock = 8;
/** And of attention_split, which also comes for single ones. */
const splitHeads = 4;
/** Queries of a block of attention_rows: rows times heads. */
const queriesPerBlock = 64;
/** Heads that the attention kernels come for. */
const headWidths = [64, 128, 256] as const;
/** Heads that attention on tensor cores is for. */
export const tensorCoreHeads = { multiple: 8, most: 128 } as const;

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
    if (headDim > headWidths.at(-1)! || headDim % 2 !== 0) {
      throw new PolyllamaError(
        "ERR_UNSUPPORTED",
        `attention ${output}: heads of ${headDim}; the CUDA backend computes heads of even size up to ${headWidths.at(-1)}. Use the cpu backend.`,
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
      {
        image: "gather_rows",
        kernel: "gather_rows",
        grid: [Math.ceil(place.width / 128), at.selected, 1],
        threads: 128,
        parameters: [
          address(at, place),
          address(at, target),
          at.selection,
          place.width,
          place.storage.stride,
          target.storage.stride,
        ],
      },
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
    const columns = Math.ceil(x.width / 32) * 32;
    // f16 in pairs, then the row's exponent and what fills up a vector.
    const y: Place = { storage: { stride: columns / 2 + 4, selected: isSelected }, offset: 0, width: x.width };
    rounded.set(key, y);
    emit(`${name} in f16 [${x.width}]`, [x, ...(up === undefined ? [] : [up]), y], (at) => [
      {
        image: "round_rows",
        kernel: "round_rows",
        grid: [count(at, isSelected), 1, 1],
        threads: 256,
        parameters: [
          address(at, x),
          norm === undefined ? 0n : weights.vector(norm.weight),
          up === undefined ? 0n : address(at, up),
          address(at, y),
          x.width,
          columns,
          x.storage.stride,
          up?.storage.stride ?? 0,
          2 * y.storage.stride,
          { float: norm?.eps ?? 0 },
        ],
      },
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
        gemv(at, { matrix, row: gateRow! }, y.width, x, y, norm, undefined, (upRow! - gateRow!) >>> 0),
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
    emit(`linear ${node.output} ${matrix.format} [${y.width}, ${matrix.columns}]`, used, (at) => [
      mode === "few"
        ? gemv(at, { matrix, row }, y.width, x, y, norm, residual, undefined)
        : rounds(node)
          ? gemmMma(at, { matrix, row }, y.width, x, y, residual)
          : gemm(at, { matrix, row }, y.width, x, y, residual),
    ]);
  };

  const gemv = (
    at: Addresses,
    { matrix, row }: MatrixPlace,
    width: number,
    x: Place,
    y: Place,
    norm: RmsNormNode | undefined,
    residual: Place | undefined,
    up: number | undefined,
  ): Launch => {
    const rows = count(at, x.storage.selected);
    const n = rows > 4 ? 8 : rows > 1 ? 4 : 1;
    const outputs = up === undefined ? (n === 8 ? 8 : 16) : n === 1 ? 8 : 4; // of a block: 4 warps times the kernel's ROWS
    const parameters: Parameter[] = [
      ...weights.planes(matrix),
      address(at, x),
      address(at, y),
      norm === undefined ? 0n : weights.vector(norm.weight),
      residual === undefined ? 0n : address(at, residual),
      matrix.columns,
      width,
      rows,
      row,
      matrix.pitch,
      up ?? 0,
      x.storage.stride,
      y.storage.stride,
      residual?.storage.stride ?? 0,
      { float: norm?.eps ?? 0 },
    ];
    return {
      image: `gemv_${matrix.format}`,
      kernel: up === undefined ? `gemv_${n}` : `gemv_swiglu_${n}`,
      grid: [Math.ceil(width / outputs), Math.ceil(rows / n), 1],
      threads: 128,
      parameters,
    };
  };
  const gemm = (
    at: Addresses,
    { matrix, row }: MatrixPlace,
    width: number,
    x: Place,
    y: Place,
    residual: Place | undefined,
  ): Launch => {
    const rows = count(at, x.storage.selected);
    return {
      image: `gemm_${matrix.format}`,
      kernel: "gemm",
      grid: [Math.ceil(width / 64), Math.ceil(rows / 64), 1],
      threads: 256,
      parameters: [
        ...weights.planes(matrix),
        address(at, x),
        address(at, y),
        residual === undefined ? 0n : address(at, residual),
        matrix.columns,
        width,
        rows,
        row,
        matrix.pitch,
        x.storage.stride,
        y.storage.stride,
        residual?.storage.stride ?? 0,
      ],
    };
  };

  const gemmMma = (
    at: Addresses,
    { matrix, row }: MatrixPlace,
    width: number,
    x: Place,
    y: Place,
    residual: Place | undefined,
  ): Launch => {
    const rows = count(at, x.storage.selected);
    const [tile, outputs] = rows > 64 ? [128, 128] : [32, 64];
    return {
      image: `gemm_mma_${matrix.format}`,
      kernel: `gemm_mma_${tile}`,
      grid: [Math.ceil(rows / tile), Math.ceil(width / outputs), 1],
      threads: 128,
      parameters: [
        ...weights.planes(matrix),
        exponents!.of(matrix),
        address(at, x),
        address(at, y),
        residual === undefined ? 0n : address(at, residual),
        matrix.columns,
        width,
        rows,
        row,
        matrix.pitch,
        2 * x.storage.stride,
        y.storage.stride,
        residual?.storage.stride ?? 0,
      ],
    };
  };

  const binary = (op: "add" | "swiglu", output: ValueName, a: ValueName, b: ValueName): void => {
    const isSelected = selected.has(output);
    const [left, right, y] = [operand(a, isSelected), operand(b, isSelected), define(output)];
    emit(`${op} ${output} [${y.width}]`, [left, right, y], (at) => [
      {
        image: op,
        kernel: op,
        grid: [Math.ceil(y.width / 128), count(at, isSelected), 1],
        threads: 128,
        parameters: [
          address(at, left),
          address(at, right),
          address(at, y),
          y.width,
          left.storage.stride,
          right.storage.stride,
          y.storage.stride,
        ],
      },
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
          {
            image: `embedding_${matrix.format}`,
            kernel: "embedding",
            grid: [Math.ceil(matrix.columns / 32 / 128), at.rows, 1],
            threads: 128,
            parameters: [
              ...weights.planes(matrix),
              at.step,
              address(at, y),
              matrix.columns,
              matrix.pitch,
              y.storage.stride,
            ],
          },
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
          {
            image: "rms_norm",
            kernel: "rms_norm",
            grid: [count(at, isSelected), 1, 1],
            threads: 256,
            parameters: [
              address(at, x),
              weights.vector(node.weight),
              address(at, y),
              y.width,
              x.storage.stride,
              y.storage.stride,
              { float: node.eps },
            ],
          },
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
          {
            image: "rope",
            kernel: "rope",
            grid: [Math.ceil(y.width / 2 / 128), at.rows, 1],
            threads: 128,
            parameters: [
              address(at, x),
              address(at, y),
              rotationAt(at, offset),
              y.width / 2,
              node.headDim / 2,
              x.storage.stride,
              y.storage.stride,
              rotationStride,
            ],
          },
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
    const own = elementsBefore(graph, node);
    emit(`cache of ${node.output}`, [q, k, v, ...(rotated === undefined ? [] : [rotated])], (at) => [
      {
        image: "rope_cache",
        kernel: "rope_cache",
        grid: [Math.ceil(((rotated === undefined ? 0 : q.width / 2) + kvHeads * d) / 128), at.rows, 1],
        threads: 128,
        parameters: [
          at.step,
          address(at, q),
          address(at, k),
          address(at, v),
          rotated === undefined ? 0n : address(at, rotated),
          rotationAt(at, qOffset),
          rotationAt(at, kOffset),
          own,
          q.width / 2,
          (kvHeads * d) / 2,
          d / 2,
          q.storage.stride,
          k.storage.stride,
          v.storage.stride,
          rotated?.storage.stride ?? 0,
          rotationStride,
        ],
      },
    ]);
    if (!wanted) return;
    const queries = rotated ?? q;
    const y = define(node.output);
    const width = headWidths.find((candidate) => d <= candidate)!; // checkGraph has seen to it
    const group = heads / kvHeads;
    const scale = { float: 1 / Math.sqrt(d) };
    const [from, to] = [queries.storage.stride, y.storage.stride];
    if (mode === "many") {
      const groups = Math.ceil(group / headsPerBlock); // of a key/value head
      const blockHeads = Math.ceil(group / groups);
      const blockRows = Math.floor(queriesPerBlock / blockHeads);
      const sizes = [own, heads, kvHeads, d, blockHeads, blockRows, from, to];
      // Two launches, each for the sequences whose cache has its format.
      const mma = exponents !== undefined && d % tensorCoreHeads.multiple === 0 && d <= tensorCoreHeads.most;
      emit(`attention ${node.output}`, [queries, y], (at) => {
        const parameters = [at.step, address(at, queries), address(at, y), at.rows, ...sizes, scale];
        const grid = [Math.ceil(at.rows / blockRows), kvHeads * groups, 1] as const;
        const [rows, tensorCores] = [`attention_rows_${width}`, `attention_mma_${width}`];
        return [
          { image: "attention_rows", kernel: rows, grid, threads: 256, parameters: [...parameters, mma ? 1 : 3] },
          ...(mma ? [{ image: "attention_mma", kernel: tensorCores, grid, threads: 128, parameters }] : []),
        ];
      });
      return;
    }
    partialWidth = Math.max(partialWidth, heads * (d + 2));
    const byFours = d % 4 === 0;
    const together = byFours && group > 1 ? splitHeads : 1;
    emit(`attention ${node.output}`, [queries, y], (at) => [
      {
        image: "attention_split",
        kernel: `attention_split_${byFours ? `${width}_${together}` : "any"}`,
        grid: [at.rows, kvHeads * Math.ceil(group / together), at.parts],
        threads: 128,
        parameters: [at.step, address(at, queries), at.partials, own, heads, kvHeads, d, from, at.parts, scale],
      },
      {
        image: "attention_combine",
        kernel: "attention_combine",
        grid: [at.rows, heads, 1],
        threads: 128,
        parameters: [at.step, at.partials, address(at, y), heads, d, at.parts, partKeys, to],
      },
    ]);
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

function address(at: Addresses, { storage, offset }: Place): Handle {
  return at.storage(storage) + BigInt(4 * offset);
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
