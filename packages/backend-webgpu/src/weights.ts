// Weights on the device. Matrices that read the same input in the same format stand one below another as a single one, so
// that q, k and v, or gate and up, are one dispatch; the rows of gate and up alternate, so that one invocation has both. A
// matrix beyond the limit of a binding is split by rows into parts. All buffers are allocated before a byte is read, and
// bytes are streamed through a few megabytes of host memory.

import {
  checkWeights,
  columnCount,
  type FormatName,
  formatBytes,
  type Graph,
  type LinearNode,
  type Progress,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite, formats } from "@polyllama/formats";
import { type Gpu, usage } from "./gpu.ts";
import { packedRows, packedWords, packRows, unitsPerRow } from "./pack.ts";

export interface MatrixPart {
  /** Rows before it. */
  readonly before: number;
  readonly rows: number;
  /** Word at which the plane of high bits begins among the scales. */
  readonly high: number;
}

export interface Matrix {
  readonly members: readonly WeightInfo[];
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  readonly units: number;
  /** Rows of each of two matrices whose rows alternate, or 0. */
  readonly alternating: number;
  readonly parts: readonly MatrixPart[];
}

export interface WeightLayout {
  readonly matrices: readonly Matrix[];
  /** Where each matrix of the graph is: in which of `matrices`, and its first output column. */
  readonly places: ReadonlyMap<WeightName, { readonly matrix: Matrix; readonly column: number }>;
  readonly vectors: readonly WeightInfo[];
  readonly bytes: number;
}

/** What of the device's limits a layout follows. */
export type BufferLimits = Pick<GPUSupportedLimits, "maxStorageBufferBindingSize" | "maxBufferSize">;

export function planWeights(
  graph: Graph,
  infos: ReadonlyMap<WeightName, WeightInfo>,
  limits: BufferLimits,
): WeightLayout {
  const used = new Map<WeightName, number>();
  const count = (name: WeightName): void => void used.set(name, (used.get(name) ?? 0) + 1);
  const groups = new Map<string, LinearNode[]>();
  for (const node of graph.nodes) {
    if (node.op === "embedding") count(node.table);
    if (node.op === "linear") count(node.weight);
  }
  for (const node of graph.nodes) {
    if (node.op !== "linear") continue;
    const { format } = infos.get(node.weight)!;
    const alone = used.get(node.weight)! > 1 || rowCount(infos.get(node.weight)!) % 4 !== 0;
    const key = alone ? `weight ${node.weight}` : `input ${node.x} ${format}`;
    groups.set(key, [...(groups.get(key) ?? []), node]);
  }
  const matrices: Matrix[] = [];
  const places = new Map<WeightName, { readonly matrix: Matrix; readonly column: number }>();
  const place = (members: readonly WeightInfo[], alternating: number): void => {
    const matrix = layOut(members, alternating, limits);
    matrices.push(matrix);
    let column = 0;
    for (const info of members) {
      places.set(info.name, { matrix, column });
      column += rowCount(info);
    }
  };
  for (const nodes of groups.values()) {
    const pair = nodes.length === 2 ? gated(graph, nodes) : undefined;
    const names = new Set((pair ?? nodes).map(({ weight }) => weight));
    const members = [...names].map((name) => infos.get(name)!);
    place(members, pair === undefined || members.length < 2 ? 0 : rowCount(members[0]!));
  }
  for (const node of graph.nodes) {
    if (node.op === "embedding" && !places.has(node.table)) place([infos.get(node.table)!], 0);
  }
  const vectors = new Map<WeightName, WeightInfo>();
  for (const node of graph.nodes) if (node.op === "rmsNorm") vectors.set(node.weight, infos.get(node.weight)!);
  let bytes = 0;
  for (const { format, parts, columns } of matrices) {
    for (const { rows } of parts) {
      const { quants, scales, high } = packedWords(format, rows, columns);
      bytes += 4 * (quants + scales + high);
    }
  }
  for (const info of vectors.values()) bytes += 4 * columnCount(info);
  return { matrices, places, vectors: [...vectors.values()], bytes };
}

/** Two linears as gate and up, when a swiglu has them. */
function gated(graph: Graph, [a, b]: readonly LinearNode[]): readonly [LinearNode, LinearNode] | undefined {
  for (const node of graph.nodes) {
    if (node.op !== "swiglu") continue;
    if (node.gate === a!.output && node.up === b!.output) return [a!, b!];
    if (node.gate === b!.output && node.up === a!.output) return [b!, a!];
  }
  return undefined;
}

function layOut(members: readonly WeightInfo[], alternating: number, limits: BufferLimits): Matrix {
  const { format } = members[0]!;
  const columns = columnCount(members[0]!);
  const rows = members.reduce((sum, info) => sum + rowCount(info), 0);
  const perRow = packedWords(format, 8, columns);
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  // A multiple of 8, so that scales of 16 bits end on whole words.
  // 65,535 workgroups of 4 rows are all that one dispatch has.
  const fitting = Math.floor(most / (Math.max(perRow.quants, perRow.scales + perRow.high) * 4)) * 8;
  const rowsPerPart = Math.min(262_136, Math.max(8, fitting));
  const parts: MatrixPart[] = [];
  for (let before = 0; before < rows; before += rowsPerPart) {
    const count = Math.min(rowsPerPart, rows - before);
    parts.push({ before, rows: count, high: packedWords(format, count, columns).scales });
  }
  return { members, format, rows, columns, units: unitsPerRow(columns), alternating, parts };
}

/** Buffers of a part; the second holds scales and high bits, and is the first where there are none. */
export interface PartBuffers {
  readonly quants: GPUBuffer;
  readonly scales: GPUBuffer;
}

export interface DeviceWeights {
  readonly parts: ReadonlyMap<MatrixPart, PartBuffers>;
  readonly vectors: ReadonlyMap<WeightName, GPUBuffer>;
  readonly buffers: readonly GPUBuffer[];
}

/** Allocates all buffers. @throws {PolyllamaError} `ERR_MEMORY` */
export async function allocateWeights(gpu: Gpu, { matrices, vectors, bytes }: WeightLayout): Promise<DeviceWeights> {
  const buffers: GPUBuffer[] = [];
  const checks: Promise<void>[] = [];
  const make = (label: string, size: number): GPUBuffer => {
    const what = `${label}, ${size} bytes of ${bytes} for all weights`;
    const { result, check } = gpu.guarded(what, () => gpu.buffer(label, size, usage.storage | usage.copyTarget));
    buffers.push(result);
    checks.push(check);
    return result;
  };
  try {
    const parts = new Map<MatrixPart, PartBuffers>();
    for (const { members, format, columns, parts: ranges } of matrices) {
      const name = members.map((info) => info.name).join(" + ");
      for (const part of ranges) {
        const words = packedWords(format, part.rows, columns);
        const quants = make(name, words.quants * 4);
        const beside = words.scales + words.high;
        parts.set(part, { quants, scales: beside === 0 ? quants : make(`scales of ${name}`, beside * 4) });
      }
    }
    const made = new Map(vectors.map((info) => [info.name, make(info.name, columnCount(info) * 4)]));
    await Promise.all(checks);
    return { parts, vectors: made, buffers };
  } catch (error) {
    for (const buffer of buffers) gpu.free(buffer);
    throw error;
  }
}

/** Bytes of stored weights that are read at once. */
const readBytes = 4 << 20;
/** Bytes that may wait in the queue before the device has taken them. */
const queuedBytes = 64 << 20;

/** Reads, checks, rearranges and uploads all weights. */
export async function uploadWeights(
  gpu: Gpu,
  graph: Graph,
  source: WeightSource,
  { matrices, vectors }: WeightLayout,
  device: DeviceWeights,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const infos = checkWeights(graph, source);
  const bytesOf = (info: WeightInfo): number => formatBytes(info.format, rowCount(info) * columnCount(info));
  const total = infos.reduce((sum, info) => sum + bytesOf(info), 0);
  let done = 0;
  let queued = 0;
  onProgress?.({ phase: "uploading weights", done, total });
  const write = async (buffer: GPUBuffer, offset: number, data: Uint32Array<ArrayBuffer>): Promise<void> => {
    if (data.length === 0) return;
    gpu.device.queue.writeBuffer(buffer, offset, data);
    queued += data.byteLength;
    if (queued < queuedBytes) return;
    queued = 0;
    gpu.device.queue.submit([]);
    await gpu.wait(gpu.device.queue.onSubmittedWorkDone());
  };
  const read = async (info: WeightInfo, first: number, count: number): Promise<Uint8Array> => {
    gpu.assertAlive();
    signal?.throwIfAborted();
    const bytes = await source.read(info.name, { first, count }, signal);
    assertFinite(source, info, bytes, first);
    done += bytes.length;
    onProgress?.({ phase: "uploading weights", done, total });
    return bytes;
  };

  for (const info of vectors) {
    const values = new Float32Array(columnCount(info));
    formats[info.format].dequantize(await read(info, 0, 1), values);
    await write(device.vectors.get(info.name)!, 0, new Uint32Array(values.buffer));
  }
  for (const { members, format, columns, units, alternating, parts } of matrices) {
    const rowBytes = formatBytes(format, columns);
    const most = Math.max(8, Math.floor(readBytes / rowBytes / 8) * 8);
    for (const part of parts) {
      const { quants, scales } = device.parts.get(part)!;
      const { before, rows } = part;
      for (let start = 0; start < rows; start += most) {
        const count = Math.min(most, rows - start);
        const packed = packedRows(format, count, columns);
        for (const { info, first, rows: taken, to, step } of pieces(members, alternating, before + start, count)) {
          packRows(format, await read(info, first, taken), columns, packed, to, step);
        }
        const perRow = packedWords(format, 8, columns);
        await write(quants, (start / 8) * perRow.quants * 4, packed.quants);
        await write(scales, (start / 8) * perRow.scales * 4, packed.scales);
        await write(scales, (part.high + start * units * (perRow.high / (8 * units))) * 4, packed.high);
      }
    }
  }
  gpu.device.queue.submit([]);
  await gpu.wait(gpu.device.queue.onSubmittedWorkDone());
}

interface Piece {
  readonly info: WeightInfo;
  /** Rows of the stored matrix. */
  readonly first: number;
  readonly rows: number;
  /** Where they go: row `to`, `to + step`, ... */
  readonly to: number;
  readonly step: number;
}

/** Which stored rows make up rows `start` to `start + count - 1` of a matrix; both even where rows alternate. */
function pieces(members: readonly WeightInfo[], alternating: number, start: number, count: number): readonly Piece[] {
  if (alternating > 0) {
    return members.map((info, to) => ({ info, first: start / 2, rows: count / 2, to, step: 2 }));
  }
  const found: Piece[] = [];
  let before = 0;
  for (const info of members) {
    const first = Math.max(0, start - before);
    const end = Math.min(rowCount(info), start + count - before);
    if (end > first) found.push({ info, first, rows: end - first, to: before + first - start, step: 1 });
    before += rowCount(info);
  }
  return found;
}
