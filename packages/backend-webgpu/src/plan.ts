// From a graph to dispatches, for one set of wanted values. What nobody asked for is fused away: norms into the linears that
// read them, gate and up into swiglu, rotation into the write to the cache, residuals into the linear before. Two modes exist.
// `decode` serves sequences that advance by one row each: few rows, many keys. `prefill` serves all others. Which mode computes a
// sequence depends on that sequence alone, so that its result does not depend on what else is in the step.
//
// A plan is data: dispatches name their buffers, and program.ts binds them.

import {
  type AttentionNode,
  type CacheFormat,
  type FormatName,
  type Graph,
  type LinearNode,
  type Node,
  operands,
  type RmsNormNode,
  type RopeNode,
  type ValueName,
  type WeightName,
} from "@polyllama/core";
import type { KernelFamily, PipelineSpec } from "./gpu.ts";
import type { Matrix, MatrixPart, WeightLayout } from "./weights.ts";

export type Mode = "decode" | "prefill";

/** A buffer of activations; the plan's memory is assigned by when they are used. */
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

export type Resource =
  | { readonly kind: "storage"; readonly storage: Storage }
  | { readonly kind: "quants" | "scales"; readonly part: MatrixPart }
  | { readonly kind: "vector"; readonly name: WeightName }
  | { readonly kind: "tokens" | "rotation" | "selection" }
  | { readonly kind: "keys" | "values" | "partials" };

/** `rotationStride` is the length of a row of the table of rotations. */
export type Parameter = number | { readonly float: number } | "rotationStride";

export type Grid = readonly [number, number, number];

/** A kernel with its buffers; several variants for different numbers of rows, the first that is large enough is taken. */
export interface Dispatch {
  /** For errors: the operation, its format and shapes. */
  readonly label: string;
  readonly variants: readonly Variant[];
  readonly resources: readonly Resource[];
  readonly parameters: readonly Parameter[];
  readonly selected: boolean;
  /** Multiplications per row, to keep submissions short. */
  readonly work: number;
}

export interface Variant {
  /** Most rows that it is meant for. */
  readonly rows: number;
  readonly spec: PipelineSpec;
  grid(rows: number): Grid;
}

/** Attention of one node, dispatched for every sequence and every part of its cache. */
export interface AttentionStep {
  readonly node: AttentionNode;
  /** Number among the graph's attentions. */
  readonly index: number;
  readonly q: Place;
  readonly k: Place;
  readonly v: Place;
  /** Rotated queries, where the rotation is done here. */
  readonly rotated: Place | undefined;
  readonly qRotation: RopeNode | undefined;
  readonly kRotation: RopeNode | undefined;
  /** Undefined where only the cache is filled. */
  readonly y: Place | undefined;
}

export type PlanStep = { readonly dispatch: Dispatch } | { readonly attention: AttentionStep };

export interface Plan {
  readonly mode: Mode;
  readonly steps: readonly PlanStep[];
  readonly outputs: ReadonlyMap<ValueName, Place>;
  /** Inputs that are needed, with where they go; tokens have no place. */
  readonly inputs: ReadonlyMap<ValueName, Place | undefined>;
  readonly tokens: ValueName | undefined;
  /** Rotations whose tables are needed, each with its first column in a row of the table. */
  readonly rotations: readonly { readonly node: RopeNode; readonly offset: number }[];
  readonly rotationStride: number;
  /** First and last step that uses a storage. */
  readonly lifetimes: ReadonlyMap<Storage, readonly [number, number]>;
}

export interface PlanOptions {
  readonly mode: Mode;
  /** Values wanted for all rows. */
  readonly all: ReadonlySet<ValueName>;
  /** Values wanted for selected rows. */
  readonly last: ReadonlySet<ValueName>;
  /** Whether caches are to be filled, also where nothing else needs it. */
  readonly fillsCaches: boolean;
  readonly family: KernelFamily;
  readonly subgroups: boolean;
}

/** Rows of an activation start at whole vectors. */
export function padded(width: number): number {
  return Math.ceil(width / 4) * 4;
}

const log2e = Math.LOG2E;

export function makePlan(graph: Graph, layout: WeightLayout, options: PlanOptions): Plan {
  const { mode, all, last } = options;
  const nodes = new Map(graph.nodes.map((node) => [node.output, node]));
  const attentions = graph.nodes.filter((node) => node.op === "attention");

  const needed = neededValues(graph, nodes, options);
  const neededNodes = graph.nodes.filter((node) => needed.has(node.output) || fills(node, options));
  const consumers = new Map<ValueName, Node[]>();
  for (const node of neededNodes) {
    const read = node.op === "attention" && !needed.has(node.output) ? [node.k, node.v] : operands(node);
    for (const name of read) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  }
  const selected = mode === "decode" ? new Set<ValueName>() : selectedValues(neededNodes, consumers, options);
  const onlyConsumer = (name: ValueName): Node | undefined => {
    const readers = consumers.get(name) ?? [];
    return readers.length === 1 && !all.has(name) && !last.has(name) ? readers[0] : undefined;
  };

  const steps: PlanStep[] = [];
  const lifetimes = new Map<Storage, [number, number]>();
  const places = new Map<ValueName, Place>();
  const gathered = new Map<ValueName, Place>();
  const inputs = new Map<ValueName, Place | undefined>();
  const rotations: { node: RopeNode; offset: number }[] = [];
  let rotationStride = 0;
  let tokens: ValueName | undefined;

  const touch = (storage: Storage): void => {
    const known = lifetimes.get(storage);
    if (known === undefined) lifetimes.set(storage, [steps.length, steps.length]);
    else known[1] = steps.length;
  };
  const emit = (dispatch: Dispatch): void => {
    for (const resource of dispatch.resources) if (resource.kind === "storage") touch(resource.storage);
    steps.push({ dispatch });
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
  const storageOf = ({ storage }: Place): Resource => ({ kind: "storage", storage });
  const rotationOffset = (node: RopeNode): number => {
    const same = rotations.find(({ node: other }) => sameRotation(other, node));
    if (same !== undefined) return same.offset;
    const offset = rotationStride;
    rotations.push({ node, offset });
    rotationStride += node.headDim / 2;
    return offset;
  };

  for (const input of graph.inputs) {
    const read = consumers.has(input.name);
    if (input.kind === "tokens") {
      if (read) {
        inputs.set(input.name, undefined);
        tokens = input.name;
      }
    } else if (read) {
      const place = fresh(input.width, false);
      places.set(input.name, place);
      inputs.set(input.name, place);
      touch(place.storage);
    }
  }

  /** A value as a node with or without selected rows reads it. */
  const operand = (name: ValueName, forSelected: boolean): Place => {
    const place = places.get(name)!;
    if (!forSelected || place.storage.selected) return place;
    const known = gathered.get(name);
    if (known !== undefined) return known;
    const { width } = place;
    const target = fresh(width, true);
    gathered.set(name, target);
    emit({
      label: `rows of ${name} [${width}]`,
      variants: [elementwise("gather_rows", "rrw", width)],
      resources: [storageOf(place), { kind: "selection" }, storageOf(target)],
      parameters: [width, place.offset, place.storage.stride, 0, target.storage.stride, 1],
      selected: true,
      work: 0,
    });
    return target;
  };

  /** Norms that the linears behind them do on the way: in decoding, where it saves a dispatch. */
  const norms = new Map<ValueName, RmsNormNode>();
  const residuals = new Map<ValueName, Node>();
  const done = new Set<Matrix>();

  const linear = (node: LinearNode): void => {
    const { matrix } = layout.places.get(node.weight)!;
    const isGroup = matrix.members.length > 1;
    if (isGroup && done.has(matrix)) return;
    const norm = norms.get(node.x);
    const isSelected = selected.has(node.output);
    const x = operand(norm?.x ?? node.x, isSelected);
    let output: Place;
    let fusion: "swiglu" | "residual" | undefined;
    let residual: Place | undefined;
    if (isGroup) {
      done.add(matrix);
      const members = graph.nodes.filter(
        (other) => other.op === "linear" && layout.places.get(other.weight)!.matrix === matrix,
      );
      const gate = members.map(({ output: name }) => onlyConsumer(name));
      const fusible = matrix.alternating > 0 && (options.family === "software" || mode === "decode" || isSelected);
      const swiglu = fusible && gate[0] === gate[1] && gate[0]?.op === "swiglu" ? gate[0] : undefined;
      if (swiglu !== undefined) {
        fusion = "swiglu";
        output = define(swiglu.output);
      } else {
        const whole = fresh(matrix.rows, isSelected);
        for (const other of members) {
          if (other.op !== "linear") continue;
          const offset = layout.places.get(other.weight)!.column;
          places.set(other.output, { storage: whole.storage, offset, width: graph.widths.get(other.output)! });
        }
        output = whole;
      }
    } else {
      const add = onlyConsumer(node.output);
      const other = add?.op === "add" && add.a !== add.b ? (add.a === node.output ? add.b : add.a) : undefined;
      if (add !== undefined && other !== undefined && places.has(other)) {
        fusion = "residual";
        residual = operand(other, isSelected);
        residuals.set(add.output, add);
        output = define(add.output);
      } else {
        output = define(node.output);
      }
    }
    for (const part of matrix.parts) {
      const flags = {
        FORMAT: `format_${matrix.format}`,
        NORM: norm !== undefined,
        RESIDUAL: fusion === "residual",
        SWIGLU: fusion === "swiglu",
        TAIL: matrix.columns % 32 !== 0,
        SCALED: isScaled(matrix),
      };
      const extra: Resource[] = [];
      if (norm !== undefined) extra.push({ kind: "vector", name: norm.weight });
      if (residual !== undefined) extra.push(storageOf(residual));
      emit({
        label: `linear ${node.output} ${matrix.format} [${matrix.rows}, ${matrix.columns}]`,
        variants: linearVariants(options, flags, part.rows, extra.length),
        resources: [storageOf(x), { kind: "quants", part }, { kind: "scales", part }, storageOf(output), ...extra],
        parameters: [
          matrix.units,
          part.rows,
          part.before,
          matrix.columns,
          x.offset / 4,
          x.storage.stride / 4,
          output.offset,
          output.storage.stride,
          residual?.offset ?? 0,
          residual?.storage.stride ?? 0,
          part.high,
          matrix.alternating,
          isSelected ? 1 : 0,
          { float: norm?.eps ?? 0 },
          4,
        ],
        selected: isSelected,
        work: part.rows * matrix.columns,
      });
    }
  };

  for (const node of neededNodes) {
    const isSelected = selected.has(node.output);
    switch (node.op) {
      case "embedding": {
        const { matrix } = layout.places.get(node.table)!;
        const y = define(node.output);
        for (const part of matrix.parts) {
          emit({
            label: `embedding ${node.output} ${matrix.format} [${matrix.rows}, ${matrix.columns}]`,
            variants: [
              {
                ...elementwise("embedding", "rrrw", matrix.units),
                spec: {
                  kernel: "embedding",
                  values: { FORMAT: `format_${matrix.format}`, SCALED: isScaled(matrix) },
                  access: "rrrw",
                },
              },
            ],
            resources: [{ kind: "tokens" }, { kind: "quants", part }, { kind: "scales", part }, storageOf(y)],
            parameters: [
              matrix.units,
              part.rows,
              part.before,
              matrix.columns,
              y.offset,
              y.storage.stride,
              part.high,
              4,
            ],
            selected: false,
            work: 0,
          });
        }
        break;
      }
      case "rmsNorm": {
        const readers = consumers.get(node.output) ?? [];
        const fuse =
          (mode === "decode" || isSelected) &&
          !all.has(node.output) &&
          !last.has(node.output) &&
          readers.every((reader) => reader.op === "linear");
        if (fuse) {
          norms.set(node.output, node);
          break;
        }
        const x = operand(node.x, isSelected);
        const y = define(node.output);
        emit({
          label: `rmsNorm ${node.output} [${y.width}]`,
          variants: [
            {
              rows: Number.POSITIVE_INFINITY,
              spec: { kernel: "rms_norm", values: {}, access: "rrw" },
              grid: (rows) => [rows, 1, 1],
            },
          ],
          resources: [storageOf(x), { kind: "vector", name: node.weight }, storageOf(y)],
          parameters: [
            y.width,
            x.offset,
            x.storage.stride,
            y.offset,
            y.storage.stride,
            isSelected ? 1 : 0,
            { float: node.eps },
          ],
          selected: isSelected,
          work: 0,
        });
        break;
      }
      case "linear":
        linear(node);
        break;
      case "rope": {
        const reader = onlyConsumer(node.output);
        if (reader?.op === "attention" && reader.v !== node.output) {
          if (reader.q === node.output ? reader.k !== node.output : reader.k === node.output) break; // with the cache
        }
        const x = operand(node.x, false);
        const y = define(node.output);
        emit({
          label: `rope ${node.output} [${y.width}]`,
          variants: [elementwise("rope", "rrw", y.width / 2)],
          resources: [storageOf(x), { kind: "rotation" }, storageOf(y)],
          parameters: [
            y.width / 2,
            node.headDim / 2,
            x.offset,
            x.storage.stride,
            y.offset,
            y.storage.stride,
            rotationOffset(node),
            "rotationStride",
          ],
          selected: false,
          work: 0,
        });
        break;
      }
      case "attention": {
        const rotationOf = (name: ValueName): RopeNode | undefined => {
          const rope = nodes.get(name);
          return rope?.op === "rope" && !places.has(name) ? rope : undefined;
        };
        const wanted = needed.has(node.output);
        const qRotation = wanted ? rotationOf(node.q) : undefined;
        const kRotation = rotationOf(node.k);
        const k = operand(kRotation?.x ?? node.k, false);
        const v = operand(node.v, false);
        const q = wanted ? operand(qRotation?.x ?? node.q, false) : k;
        const rotated = qRotation === undefined ? undefined : fresh(q.width, false);
        const y = wanted ? define(node.output) : undefined;
        for (const rotation of [qRotation, kRotation]) if (rotation !== undefined) rotationOffset(rotation);
        for (const place of [q, k, v, rotated, y]) if (place !== undefined) touch(place.storage);
        steps.push({
          attention: { node, index: attentions.indexOf(node), q, k, v, rotated, qRotation, kRotation, y },
        });
        break;
      }
      case "swiglu": {
        if (places.has(node.output)) break; // with its linears
        const gate = operand(node.gate, isSelected);
        const up = operand(node.up, isSelected);
        const y = define(node.output);
        emit(binary("swiglu", node.output, gate, up, y, isSelected));
        break;
      }
      case "add": {
        if (residuals.has(node.output)) break; // with its linear
        const a = operand(node.a, isSelected);
        const b = operand(node.b, isSelected);
        const y = define(node.output);
        emit(binary("add", node.output, a, b, y, isSelected));
        break;
      }
    }
  }

  const outputs = new Map<ValueName, Place>();
  for (const name of all) if (nodes.has(name)) outputs.set(name, places.get(name)!);
  for (const name of last) {
    if (nodes.has(name) && !all.has(name))
      outputs.set(name, mode === "decode" ? places.get(name)! : operand(name, true));
  }
  for (const { storage } of outputs.values()) lifetimes.get(storage)![1] = Number.POSITIVE_INFINITY;
  return { mode, steps, outputs, inputs, tokens, rotations, rotationStride, lifetimes };
}

function binary(op: "swiglu" | "add", output: ValueName, a: Place, b: Place, y: Place, isSelected: boolean): Dispatch {
  return {
    label: `${op} ${output} [${y.width}]`,
    variants: [elementwise(op, "rrw", y.width)],
    resources: [a, b, y].map(({ storage }) => ({ kind: "storage", storage })),
    parameters: [
      y.width,
      a.offset,
      a.storage.stride,
      b.offset,
      b.storage.stride,
      y.offset,
      y.storage.stride,
      isSelected ? 1 : 0,
    ],
    selected: isSelected,
    work: 0,
  };
}

/** An invocation per element, 64 to a workgroup, rows along y. */
function elementwise(kernel: PipelineSpec["kernel"], access: string, width: number): Variant {
  return {
    rows: Number.POSITIVE_INFINITY,
    spec: { kernel, values: {}, access },
    grid: (rows) => [Math.ceil(width / 64), rows, 1],
  };
}

/** Whether a scale belongs to a whole unit of 32 values, and quants are multiplied before it. */
function isScaled({ format }: Matrix): boolean {
  return scaledFormats.includes(format);
}

const scaledFormats: readonly FormatName[] = ["q8_0", "q4_0", "q5_0", "iq4_nl", "q8_k"];

function linearVariants(
  { mode, family, subgroups }: PlanOptions,
  flags: Readonly<Record<string, string | boolean>>,
  matrixRows: number,
  extras: number,
): readonly Variant[] {
  const access = `rrrw${"r".repeat(extras)}`;
  const tile = (rows: number, tokens: number, most: number): Variant => ({
    rows: most,
    spec: {
      kernel: "linear",
      values: { ...flags, ROWS: rows, ROWS_HALF: rows / 2, TOKENS: tokens, WORKGROUP: 16, SUBGROUPS: subgroups },
      access,
    },
    grid: (count) => [Math.ceil(matrixRows / (rows * 16)), Math.ceil(count / tokens), 1],
  });
  const wide = (rows: number, tokens: number, most: number): Variant => {
    const slots = tokens * (rows + 1);
    // Without subgroups every invocation has its partial sums; the smallest subgroups have 4.
    const values = { ROWS: rows, TOKENS: tokens, SLOTS: slots, SHARED: slots * (subgroups ? 16 : 64) };
    return {
      rows: most,
      spec: { kernel: "linear_wide", values: { ...flags, ...values, SUBGROUPS: subgroups }, access },
      grid: (count) => [Math.ceil(matrixRows / rows), Math.ceil(count / tokens), 1],
    };
  };
  // Beside a norm or swiglu, which tiles leave to others, and for a few selected rows the wide kernel serves prefill too.
  const fused = flags["NORM"] === true || flags["SWIGLU"] === true;
  if (family === "software") {
    const many = tile(4, 4, Number.POSITIVE_INFINITY);
    return mode === "decode" ? [tile(4, 1, 1), many] : [many];
  }
  if (mode === "decode" || fused) {
    return [wide(4, 1, 1), wide(4, subgroups ? 4 : 2, Number.POSITIVE_INFINITY)];
  }
  return [
    {
      rows: Number.POSITIVE_INFINITY,
      spec: { kernel: "linear_tiled", values: flags, access },
      grid: (count) => [Math.ceil(matrixRows / 64), Math.ceil(count / 64), 1],
    },
  ];
}

function sameRotation(a: RopeNode, b: RopeNode): boolean {
  const key = ({ headDim, theta, scaling }: RopeNode): string => JSON.stringify([headDim, theta, scaling]);
  return key(a) === key(b);
}

function fills(node: Node, { fillsCaches }: PlanOptions): boolean {
  return fillsCaches && node.op === "attention";
}

/** Values that the wanted ones and the caches need. */
function neededValues(graph: Graph, nodes: ReadonlyMap<ValueName, Node>, options: PlanOptions): ReadonlySet<ValueName> {
  const needed = new Set<ValueName>();
  const visit = (name: ValueName): void => {
    if (needed.has(name)) return;
    needed.add(name);
    const node = nodes.get(name);
    if (node !== undefined) for (const operand of operands(node)) visit(operand);
  };
  for (const name of [...options.all, ...options.last]) visit(name);
  for (const node of graph.nodes) {
    if (!fills(node, options) || node.op !== "attention") continue;
    visit(node.k);
    visit(node.v);
  }
  return needed;
}

/** Values of which only selected rows are computed: the end of the graph, behind the last attention. */
function selectedValues(
  neededNodes: readonly Node[],
  consumers: ReadonlyMap<ValueName, readonly Node[]>,
  { all, last }: PlanOptions,
): ReadonlySet<ValueName> {
  const selected = new Set<ValueName>();
  for (const node of [...neededNodes].reverse()) {
    if (!["rmsNorm", "linear", "swiglu", "add"].includes(node.op) || all.has(node.output)) continue;
    const readers = consumers.get(node.output) ?? [];
    if (readers.length === 0 && !last.has(node.output)) continue;
    if (readers.every((reader) => selected.has(reader.output))) selected.add(node.output);
  }
  return selected;
}

/** Keys that a workgroup of a split attention goes over. */
export const splitKeys = 128;

/** A range of a cache's key/value heads, in buffers of their own. */
export interface HeadRange {
  readonly first: number;
  readonly count: number;
}

/** The dispatches of an attention for one sequence and one range of heads. */
export function attentionDispatches(
  step: AttentionStep,
  mode: Mode,
  heads: HeadRange,
  segment: number,
  format: CacheFormat,
  plan: Pick<Plan, "rotations" | "rotationStride">,
): readonly (Omit<Dispatch, "variants"> & {
  readonly spec: PipelineSpec;
  grid(rows: number, start: number): Grid;
})[] {
  const { node, q, k, v, rotated, qRotation, kRotation, y } = step;
  const d = node.headDim;
  const d4 = Math.ceil(d / 4);
  const group = node.heads / node.kvHeads;
  const queryHeads = heads.count * group;
  const firstQuery = heads.first * group * d;
  const storage = ({ storage: of }: Place): Resource => ({ kind: "storage", storage: of });
  const offsetOf = (rotation: RopeNode | undefined): number =>
    plan.rotations.find(({ node: other }) => rotation !== undefined && sameRotation(other, rotation))?.offset ?? 0;
  const cache = { CACHE: `cache_${format}`, [`CACHE_${format.toUpperCase()}`]: true };
  const rope = qRotation !== undefined || kRotation !== undefined;
  const label = `attention ${node.output} [${node.heads} / ${node.kvHeads} x ${d}], cache ${format}`;
  const keyPairs = (heads.count * d) / 2;
  const queryPairs = qRotation === undefined ? 0 : (queryHeads * d) / 2;
  const write = {
    label: `${label}: rotation and cache`,
    spec: {
      kernel: "rope_cache",
      values: { ...cache, ROPE: rope, ROPE_Q: qRotation !== undefined, ROPE_K: kRotation !== undefined },
      access: `rrww${rope ? "r" : ""}${qRotation === undefined ? "" : "rw"}`,
    },
    resources: [
      storage(k),
      storage(v),
      { kind: "keys" },
      { kind: "values" },
      ...(rope ? [{ kind: "rotation" } as const] : []),
      ...(rotated === undefined ? [] : [storage(q), storage(rotated)]),
    ],
    parameters: [
      segment,
      d / 2,
      d4 * 2,
      queryPairs,
      keyPairs,
      q.offset + firstQuery,
      q.storage.stride,
      k.offset + heads.first * d,
      k.storage.stride,
      v.offset + heads.first * d,
      v.storage.stride,
      (rotated?.offset ?? 0) + firstQuery,
      rotated?.storage.stride ?? 0,
      offsetOf(qRotation),
      offsetOf(kRotation),
      plan.rotationStride,
    ],
    selected: false,
    work: 0,
    grid: (rows: number): Grid => [Math.ceil(Math.max(keyPairs, queryPairs) / 64), rows, 1],
  } as const;
  if (y === undefined) return [write];

  const query = rotated ?? q;
  const scale = { float: log2e / Math.sqrt(d) };
  const rowsShape = { ...cache, PADDED: d % 4 !== 0 };
  const shape = { ...rowsShape, D4: d4 };
  if (mode === "prefill") {
    const workgroup = 64;
    return [
      write,
      {
        label,
        spec: { kernel: "attention_rows", values: { ...rowsShape, WORKGROUP: workgroup }, access: "rrrw" },
        resources: [storage(query), { kind: "keys" }, { kind: "values" }, storage(y)],
        parameters: [
          segment,
          group,
          d,
          query.offset + firstQuery,
          query.storage.stride,
          y.offset + firstQuery,
          y.storage.stride,
          d4,
          scale,
        ],
        selected: false,
        work: 0,
        grid: (rows) => [Math.ceil(rows / workgroup), queryHeads, 1],
      },
    ];
  }
  const combine = Math.min(64, d4);
  return [
    write,
    {
      label,
      spec: {
        kernel: "attention_split",
        values: { ...shape, SPLIT: splitKeys, WIDE: d4 > 64 },
        access: "rrrw",
      },
      resources: [storage(query), { kind: "keys" }, { kind: "values" }, { kind: "partials" }],
      parameters: [segment, group, d, query.offset + firstQuery, query.storage.stride, d4, scale],
      selected: false,
      work: 0,
      grid: (_, start) => [queryHeads, Math.floor(start / splitKeys) + 1, 1],
    },
    {
      label: `${label}: splits`,
      spec: { kernel: "attention_combine", values: { D4: d4, WORKGROUP: combine }, access: "rw" },
      resources: [{ kind: "partials" }, storage(y)],
      parameters: [segment, d, y.offset + firstQuery, y.storage.stride, splitKeys],
      selected: false,
      work: 0,
      grid: () => [queryHeads, Math.ceil(d4 / combine), 1],
    },
  ];
}
