// Weights in memory, random in every stored format. Blocks are made directly, so that all bit patterns of quants and
// sub-block scales occur; the scales differ from block to block, so that a block read with another's scale shows.

import {
  columnCount,
  cutWeight,
  type FormatName,
  formatBytes,
  type Graph,
  resolveRanges,
  rowCount,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import type { HostArray } from "@polyllama/core/device";
import { formats, numberToBf16, numberToF16 } from "@polyllama/formats";
import type { Random } from "./random.ts";

export interface MemoryWeight extends WeightInfo {
  readonly bytes: Uint8Array;
}

/** A source over weights in memory. */
export function memoryWeights(weights: readonly MemoryWeight[]): WeightSource {
  const byName = new Map(weights.map((weight) => [weight.name, weight]));
  return {
    name: "conformance",
    weights: byName,
    async read(name, ranges) {
      const weight = byName.get(name)!; // checked by whoever compiles
      return cutWeight(weight.bytes, resolveRanges(weight, ranges));
    },
    async fingerprint() {
      const parts = weights.map(({ bytes }) => bytes as BufferSource); // never shared memory here
      const digests = await Promise.all(parts.map((bytes) => crypto.subtle.digest("SHA-256", bytes)));
      return digests
        .map((digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16)).join(""))
        .join("-");
    },
  };
}

/** The given rows of [N, width]. */
export function takeRows(data: HostArray, width: number, rows: readonly number[]): Float32Array {
  const taken = new Float32Array(rows.length * width);
  for (const [to, from] of rows.entries()) taken.set(data.subarray(from * width, (from + 1) * width), to * width);
  return taken;
}

/** The given columns of rows [N, width]. */
export function takeColumns(data: HostArray, width: number, columns: readonly number[]): Float32Array {
  const taken = new Float32Array((data.length / width) * columns.length);
  for (let first = 0, to = 0; first < data.length; first += width) {
    for (const column of columns) taken[to++] = data[first + column]!; // of each row
  }
  return taken;
}

/** The given rows of a matrix, as a weight of its own. */
export function takeWeightRows(weight: MemoryWeight, rows: readonly number[]): MemoryWeight {
  const rowBytes = formatBytes(weight.format, columnCount(weight));
  const bytes = new Uint8Array(rows.length * rowBytes);
  rows.forEach((row, i) => {
    bytes.set(weight.bytes.subarray(row * rowBytes, (row + 1) * rowBytes), i * rowBytes);
  });
  return { ...weight, shape: [rows.length, columnCount(weight)], bytes };
}

/** The given blocks of each row of a matrix, as a weight of its own. */
export function takeWeightBlocks(weight: MemoryWeight, blocks: readonly number[]): MemoryWeight {
  const { blockSize, blockBytes } = formats[weight.format];
  const [rows, rowBytes] = [rowCount(weight), formatBytes(weight.format, columnCount(weight))];
  const bytes = new Uint8Array(rows * blocks.length * blockBytes);
  for (let row = 0, to = 0; row < rows; row++) {
    for (const block of blocks) {
      const from = row * rowBytes + block * blockBytes;
      for (let i = 0; i < blockBytes; i++) bytes[to++] = weight.bytes[from + i]!; // within the row
    }
  }
  return { ...weight, shape: [rows, blocks.length * blockSize], bytes };
}

/** The given rows of a source's matrix, as a weight of its own. */
export async function readWeightRows(
  source: WeightSource,
  info: WeightInfo,
  rows: readonly number[],
): Promise<MemoryWeight> {
  const rowBytes = formatBytes(info.format, columnCount(info));
  const bytes = new Uint8Array(rows.length * rowBytes);
  for (const [i, first] of rows.entries()) {
    bytes.set(await source.read(info.name, { rows: { first, count: 1 } }), i * rowBytes);
  }
  return { ...info, shape: [rows.length, columnCount(info)], bytes };
}

/** Random values of a size that keeps a linear's outputs about as large as its inputs. */
export function randomWeight(name: string, shape: readonly number[], format: FormatName, random: Random): MemoryWeight {
  const info: WeightInfo = { name, shape, format };
  const elements = rowCount(info) * columnCount(info);
  const bytes = new Uint8Array(formatBytes(format, elements));
  fills[format](bytes, 1 / Math.sqrt(columnCount(info)), random);
  return { ...info, bytes };
}

/** A weight for each that a graph has, drawn in its order: matrices in a format, vectors in f32. */
export function randomWeights(graph: Graph, format: FormatName, random: Random): readonly MemoryWeight[] {
  return graph.weights.map(({ name, shape }) => randomWeight(name, shape, shape.length === 1 ? "f32" : format, random));
}

type Fill = (bytes: Uint8Array, deviation: number, random: Random) => void;

/** Byte offsets of binary16 scales within a block, and the deviation of values under scales of 1. */
function blocks(format: FormatName, scales: readonly number[], quantDeviation: number): Fill {
  return (bytes, deviation, random) => {
    const words = new Uint32Array(bytes.buffer, 0, bytes.length >> 2);
    for (let i = 0; i < words.length; i++) words[i] = random.word();
    for (let i = words.length * 4; i < bytes.length; i++) bytes[i] = random.word();
    const { blockBytes } = formats[format];
    for (let start = 0; start < bytes.length; start += blockBytes) {
      for (const offset of scales) {
        const sign = random.word() & 1 ? 1 : -1;
        const half = numberToF16((sign * (0.5 + random.uniform()) * deviation) / quantDeviation);
        bytes[start + offset] = half;
        bytes[start + offset + 1] = half >> 8;
      }
    }
  };
}

const fills: Readonly<Record<FormatName, Fill>> = {
  f32(bytes, deviation, random) {
    const values = new Float32Array(bytes.buffer);
    for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
  },
  f16(bytes, deviation, random) {
    const halves = new Uint16Array(bytes.buffer);
    // A few subnormal ones among them.
    for (let i = 0; i < halves.length; i++) {
      halves[i] = numberToF16(deviation * random.normal() * (random.integer(50) === 0 ? 2 ** -12 : 1));
    }
  },
  bf16(bytes, deviation, random) {
    const halves = new Uint16Array(bytes.buffer);
    for (let i = 0; i < halves.length; i++) halves[i] = numberToBf16(deviation * random.normal());
  },
  q8_0: blocks("q8_0", [0], 74),
  q4_0: blocks("q4_0", [0], 4.6),
  q4_1: blocks("q4_1", [0, 2], 8.9),
  q5_0: blocks("q5_0", [0], 9.2),
  q5_1: blocks("q5_1", [0, 2], 18),
  iq4_nl: blocks("iq4_nl", [0], 70),
  q2_k: blocks("q2_k", [80, 82], 18.6),
  q3_k: blocks("q3_k", [108], 43.5),
  q4_k: blocks("q4_k", [0, 2], 170),
  q5_k: blocks("q5_k", [0, 2], 660),
  q6_k: blocks("q6_k", [208], 1360),
  q8_k(bytes, deviation, random) {
    const view = new DataView(bytes.buffer);
    for (let start = 0; start < bytes.length; start += formats.q8_k.blockBytes) {
      view.setFloat32(start, ((random.word() & 1 ? 1 : -1) * (0.5 + random.uniform()) * deviation) / 74, true);
      for (let i = 0; i < 256; i++) bytes[start + 4 + i] = random.word();
      for (let j = 0; j < 16; j++) {
        let sum = 0;
        for (let i = 0; i < 16; i++) sum += view.getInt8(start + 4 + j * 16 + i);
        view.setInt16(start + 260 + j * 2, sum, true);
      }
    }
  },
};
