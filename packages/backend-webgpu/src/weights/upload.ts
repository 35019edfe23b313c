// Weights onto the device. All buffers are allocated before a byte is read, and bytes are streamed through a few
// megabytes of host memory.

import {
  columnCount,
  formatBytes,
  type Progress,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite, formats } from "@polyllama/formats";
import type { WeightGroup } from "@polyllama/planner";
import { type Gpu, usage } from "../gpu.ts";
import { packedRows, packedWords, packRows, unitsPerRow } from "../pack.ts";
import type { MatrixPart, WeightLayout } from "./layout.ts";

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
export async function allocateWeights(
  gpu: Gpu,
  { groups, parts: ranges, vectors, bytes }: WeightLayout,
): Promise<DeviceWeights> {
  const buffers: GPUBuffer[] = [];
  const checks: Promise<void>[] = [];
  const make = (label: string, size: number): GPUBuffer => {
    const what = `${label}, ${size} bytes of ${bytes} for all weights`;
    const { result, check } = gpu.guarded(what, () =>
      gpu.buffer(label, size, usage.storage | usage.copySource | usage.copyTarget),
    );
    buffers.push(result);
    checks.push(check);
    return result;
  };
  try {
    const parts = new Map<MatrixPart, PartBuffers>();
    for (const group of groups) {
      const { members, format, columns } = group;
      const name = members.map((info) => info.name).join(" + ");
      for (const part of ranges.get(group)!) {
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

/** What is filled. */
interface Allocated {
  readonly gpu: Gpu;
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: WeightLayout;
  readonly buffers: DeviceWeights;
}

/** Reads, checks, rearranges and uploads all weights. */
export async function uploadWeights(
  { gpu, weights, layout, buffers: device }: Allocated,
  source: WeightSource,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { groups, parts, vectors } = layout;
  const bytesOf = (info: WeightInfo): number => formatBytes(info.format, rowCount(info) * columnCount(info));
  let total = 0;
  for (const info of weights.values()) total += bytesOf(info);
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
    signal.throwIfAborted();
    const bytes = await source.read(info.name, { rows: { first, count } }, signal);
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
  for (const group of groups) {
    const { format, columns } = group;
    const units = unitsPerRow(columns);
    const rowBytes = formatBytes(format, columns);
    const most = Math.max(8, Math.floor(readBytes / rowBytes / 8) * 8);
    for (const part of parts.get(group)!) {
      const { quants, scales } = device.parts.get(part)!;
      const { before, rows } = part;
      for (let start = 0; start < rows; start += most) {
        const count = Math.min(most, rows - start);
        const packed = packedRows(format, count, columns);
        for (const { info, first, rows: taken, to, step } of pieces(group, before + start, count)) {
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

/** Which stored rows make up rows `start` to `start + count - 1` of a group; both even where rows alternate. */
function pieces({ members, alternating }: WeightGroup, start: number, count: number): readonly Piece[] {
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
