// Rearranging stored blocks for the GPU, without changing a value: quants in planes of whole words, scales beside them,
// so that loads are aligned. kernels/planes.wgsl and the format_*.wgsl files say how they are read. A unit is 32 values
// of a row, whatever the format; rows of unquantized formats are padded to whole units with zeros.

import type { FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";

/** 16-bit words of a weight's rows; all quantized formats have blocks of whole ones. */
type Halves = Uint16Array;

/** Where rows go: one array per region, for whole rows. */
export interface Packed {
  /** Main plane, read in vectors of 16 bytes. */
  readonly quants: Uint32Array<ArrayBuffer>;
  readonly scales: Uint32Array<ArrayBuffer>;
  /** Plane of high bits. */
  readonly high: Uint32Array<ArrayBuffer>;
}

export interface Packing {
  /** Words of the main plane per unit. */
  readonly quantWords: number;
  /** Words of scales per block of `scaleUnits` units; half a word where binary16 scales lie two to a word. */
  readonly scaleWords: number;
  readonly scaleUnits: number;
  readonly highWords: number;
  /** Packs the block that starts at half-word `from` as unit number `unit` and those behind it. */
  block(source: Halves, from: number, unit: number, to: Packed): void;
}

const low = 0x0f0f0f0f;

function word(source: Halves, at: number): number {
  return (source[at]! | (source[at + 1]! << 16)) >>> 0;
}

function setHalf(target: Uint32Array, index: number, half: number): void {
  const at = index >> 1;
  target[at] = index & 1 ? (target[at]! & 0xffff) | (half << 16) : (target[at]! & 0xffff0000) | half;
}

/** 32 bits, bit i for value i, as a plane: byte b holds at bit i the value 4 i + b. */
function spreadBits(bits: number): number {
  let plane = 0;
  for (let i = 0; i < 8; i++) {
    const four = (bits >>> (4 * i)) & 15;
    plane |= ((four | (four << 7) | (four << 14) | (four << 21)) & 0x01010101) << i;
  }
  return plane >>> 0;
}

/** A bit of each of 32 bytes as a plane. */
function bitPlane(source: Halves, at: number, bit: number): number {
  let plane = 0;
  for (let i = 0; i < 8; i++) plane |= ((word(source, at + 2 * i) >>> bit) & 0x01010101) << i;
  return plane >>> 0;
}

/** Two bits, from `shift` on, of each of 32 bytes as two words. */
function pairPlane(source: Halves, at: number, shift: number, target: Uint32Array, to: number): void {
  for (let w = 0; w < 2; w++) {
    let plane = 0;
    for (let i = 0; i < 4; i++) plane |= ((word(source, at + 8 * w + 2 * i) >>> shift) & 0x03030303) << (2 * i);
    target[to + w] = plane;
  }
}

/** Nibbles of 32 values that lie in one nibble, low or high, of 32 bytes. */
function nibblePlane(source: Halves, at: number, shift: number, target: Uint32Array, to: number): void {
  for (let s = 0; s < 4; s++) {
    const first = (word(source, at + 2 * s) >>> shift) & low;
    const second = (word(source, at + 8 + 2 * s) >>> shift) & low;
    target[to + s] = first | (second << 4);
  }
}

function copyWords(source: Halves, at: number, count: number, target: Uint32Array, to: number): void {
  for (let i = 0; i < count; i++) target[to + i] = word(source, at + 2 * i);
}

const halfScale = { scaleWords: 0.5, scaleUnits: 1, highWords: 0 } as const;
const none: Packing = {
  quantWords: 0,
  scaleWords: 0,
  scaleUnits: 1,
  highWords: 0,
  block: () => undefined,
};

/** Unquantized formats are copied; see {@link packRows}. */
const packings: Readonly<Record<FormatName, Packing>> = {
  f32: { ...none, quantWords: 32 },
  f16: { ...none, quantWords: 16 },
  bf16: { ...none, quantWords: 16 },
  q8_0: {
    ...halfScale,
    quantWords: 8,
    block(source, from, unit, { quants, scales }) {
      setHalf(scales, unit, source[from]!);
      copyWords(source, from + 1, 8, quants, unit * 8);
    },
  },
  q4_0: {
    ...halfScale,
    quantWords: 4,
    block(source, from, unit, { quants, scales }) {
      setHalf(scales, unit, source[from]!);
      for (let i = 0; i < 4; i++) quants[unit * 4 + i] = word(source, from + 1 + 2 * i) ^ 0x88888888; // q - 8
    },
  },
  iq4_nl: {
    ...halfScale,
    quantWords: 4,
    block(source, from, unit, { quants, scales }) {
      setHalf(scales, unit, source[from]!);
      copyWords(source, from + 1, 4, quants, unit * 4);
    },
  },
  q4_1: {
    quantWords: 4,
    scaleWords: 1,
    scaleUnits: 1,
    highWords: 0,
    block(source, from, unit, { quants, scales }) {
      scales[unit] = word(source, from);
      copyWords(source, from + 2, 4, quants, unit * 4);
    },
  },
  q5_0: {
    ...halfScale,
    quantWords: 4,
    highWords: 1,
    block(source, from, unit, { quants, scales, high }) {
      setHalf(scales, unit, source[from]!);
      high[unit] = spreadBits(word(source, from + 1));
      copyWords(source, from + 3, 4, quants, unit * 4);
    },
  },
  q5_1: {
    quantWords: 4,
    scaleWords: 1,
    scaleUnits: 1,
    highWords: 1,
    block(source, from, unit, { quants, scales, high }) {
      scales[unit] = word(source, from);
      high[unit] = spreadBits(word(source, from + 2));
      copyWords(source, from + 4, 4, quants, unit * 4);
    },
  },
  q2_k: {
    quantWords: 2,
    scaleWords: 5,
    scaleUnits: 8,
    highWords: 0,
    block(source, from, unit, { quants, scales }) {
      const record = (unit >> 3) * 5;
      scales[record] = word(source, from + 40);
      copyWords(source, from, 4, scales, record + 1);
      for (let j = 0; j < 8; j++) pairPlane(source, from + 8 + 16 * (j >> 2), 2 * (j & 3), quants, (unit + j) * 2);
    },
  },
  q3_k: {
    quantWords: 2,
    scaleWords: 4,
    scaleUnits: 8,
    highWords: 1,
    block(source, from, unit, { quants, scales, high }) {
      const record = (unit >> 3) * 4;
      scales[record] = source[from + 54]!;
      copyWords(source, from + 48, 3, scales, record + 1);
      for (let j = 0; j < 8; j++) {
        pairPlane(source, from + 16 + 16 * (j >> 2), 2 * (j & 3), quants, (unit + j) * 2);
        high[unit + j] = bitPlane(source, from, j);
      }
    },
  },
  q4_k: {
    quantWords: 4,
    scaleWords: 4,
    scaleUnits: 8,
    highWords: 0,
    block(source, from, unit, { quants, scales }) {
      copyWords(source, from, 4, scales, (unit >> 3) * 4);
      for (let j = 0; j < 8; j++) nibblePlane(source, from + 8 + 16 * (j >> 1), 4 * (j & 1), quants, (unit + j) * 4);
    },
  },
  q5_k: {
    quantWords: 4,
    scaleWords: 4,
    scaleUnits: 8,
    highWords: 1,
    block(source, from, unit, { quants, scales, high }) {
      copyWords(source, from, 4, scales, (unit >> 3) * 4);
      for (let j = 0; j < 8; j++) {
        high[unit + j] = bitPlane(source, from + 8, j);
        nibblePlane(source, from + 24 + 16 * (j >> 1), 4 * (j & 1), quants, (unit + j) * 4);
      }
    },
  },
  q6_k: {
    quantWords: 4,
    scaleWords: 5,
    scaleUnits: 8,
    highWords: 2,
    block(source, from, unit, { quants, scales, high }) {
      const record = (unit >> 3) * 5;
      scales[record] = source[from + 104]!;
      copyWords(source, from + 96, 4, scales, record + 1);
      for (let j = 0; j < 8; j++) {
        const half = j >> 2;
        nibblePlane(source, from + 32 * half + 16 * (j & 1), 4 * ((j >> 1) & 1), quants, (unit + j) * 4);
        pairPlane(source, from + 64 + 16 * half, 2 * (j & 3), high, (unit + j) * 2);
      }
    },
  },
  q8_k: {
    quantWords: 8,
    scaleWords: 1,
    scaleUnits: 8,
    highWords: 0,
    block(source, from, unit, { quants, scales }) {
      scales[unit >> 3] = word(source, from);
      copyWords(source, from + 2, 64, quants, unit * 8);
    },
  },
};

/** Units in a row of so many values. */
export function unitsPerRow(columns: number): number {
  return Math.ceil(columns / 32);
}

/** Words of each region for so many rows. */
export function packedWords(
  format: FormatName,
  rows: number,
  columns: number,
): { readonly quants: number; readonly scales: number; readonly high: number } {
  const { quantWords, scaleWords, scaleUnits, highWords } = packings[format];
  const units = rows * unitsPerRow(columns);
  return {
    quants: units * quantWords,
    scales: Math.ceil((units / scaleUnits) * scaleWords),
    high: units * highWords,
  };
}

/** Room for so many rows, zero. */
export function packedRows(format: FormatName, rows: number, columns: number): Packed {
  const { quants, scales, high } = packedWords(format, rows, columns);
  return { quants: new Uint32Array(quants), scales: new Uint32Array(scales), high: new Uint32Array(high) };
}

/** Packs rows as rows `first`, `first + step`, ... of the target. */
export function packRows(
  format: FormatName,
  bytes: Uint8Array,
  columns: number,
  to: Packed,
  first: number,
  step: number,
): void {
  const { blockSize, blockBytes } = formats[format];
  const units = unitsPerRow(columns);
  const rowBytes = (columns / blockSize) * blockBytes;
  const rows = bytes.length / rowBytes;
  const packing = packings[format];
  if (blockSize === 1) {
    const target = new Uint8Array(to.quants.buffer);
    for (let row = 0; row < rows; row++) {
      target.set(
        bytes.subarray(row * rowBytes, (row + 1) * rowBytes),
        (first + row * step) * units * packing.quantWords * 4,
      );
    }
    return;
  }
  const source =
    bytes.byteOffset % 2 === 0
      ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1)
      : new Uint16Array(bytes.slice().buffer);
  const halves = blockBytes >> 1;
  for (let row = 0, from = 0; row < rows; row++) {
    const end = (first + row * step + 1) * units;
    for (let unit = end - units; unit < end; unit += blockSize >> 5, from += halves)
      packing.block(source, from, unit, to);
  }
}
