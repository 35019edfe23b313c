// Weights on the card. Linears that read the same value in the same format become one matrix, rows below rows, so that one
// launch serves q, k and v. A block's fields are put into planes on the card (kernels/repack.cu): the file's bytes cross the bus
// as they are, and no value changes. What takes time there is reading, so that several pieces are read at once, by the threads that
// Node reads files with, while this one moves those before into one of two pinned buffers and the card copies the other.
// Numbers that are NaN or infinite are found on the card too: looking for them here would take longer than all the rest.

import {
  CheckpointError,
  type CompileOptions,
  checkWeights,
  columnCount,
  type FormatName,
  formatBytes,
  type Graph,
  PolyllamaError,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite, formats } from "@polyllama/formats";
import type { Handle } from "./driver/api.ts";
import type { DeviceMemory, Gpu, Launch, Parameter, PinnedMemory } from "./gpu.ts";

type Plane = "q" | "h" | "s" | "d";

/** Where a block has each plane's field: offset and bytes. Floats have rows instead of blocks. */
const fields: Readonly<Record<FormatName, Readonly<Partial<Record<Plane, readonly [number, number]>>>>> = {
  f32: {},
  f16: {},
  bf16: {},
  q8_0: { q: [2, 32], d: [0, 2] },
  q4_0: { q: [2, 16], d: [0, 2] },
  iq4_nl: { q: [2, 16], d: [0, 2] },
  q4_1: { q: [4, 16], d: [0, 4] },
  q5_0: { q: [6, 16], h: [2, 4], d: [0, 2] },
  q5_1: { q: [8, 16], h: [4, 4], d: [0, 4] },
  q2_k: { q: [16, 64], s: [0, 16], d: [80, 4] },
  q3_k: { q: [32, 64], h: [0, 32], s: [96, 12], d: [108, 2] },
  q4_k: { q: [16, 128], d: [0, 16] },
  q5_k: { q: [48, 128], h: [16, 32], d: [0, 16] },
  q6_k: { q: [0, 128], h: [128, 64], s: [192, 16], d: [208, 2] },
  q8_k: { q: [4, 256], d: [0, 4] },
};

/** Numbers at the beginning of a field, and the bits of their exponents in the last two bytes of each. */
interface Numbers {
  readonly count: number;
  readonly bytes: 2 | 4;
  readonly exponent: number;
}

/** What must be finite in a block's field `d`, or in a row of floats. Of q8_k the quants matter too, and the host looks. */
function numbersOf(format: FormatName, columns: number): Numbers {
  if (format === "f32") return { count: columns, bytes: 4, exponent: 0x7f80 };
  if (format === "bf16") return { count: columns, bytes: 2, exponent: 0x7f80 };
  if (format === "f16") return { count: columns, bytes: 2, exponent: 0x7c00 };
  return { count: format === "q8_k" ? 0 : twoFactors.has(format) ? 2 : 1, bytes: 2, exponent: 0x7c00 };
}

/** Formats whose blocks have a scale and an offset. */
const twoFactors: ReadonlySet<FormatName> = new Set(["q4_1", "q5_1", "q2_k", "q4_k", "q5_k"]);

/** Bytes that are read from the source and copied at once: few enough that the processor's cache still has what was read. */
const pieceBytes = 2 << 20;
/** Pieces that are read or wait to be copied at the same time; Node reads with four threads. */
const readsAtOnce = 8;

export interface Matrix {
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  /** Blocks of a row; of floats the values, filled up to whole vectors. */
  readonly pitch: number;
  readonly planes: readonly PlaneLayout[];
  readonly bytes: number;
}

interface PlaneLayout {
  readonly plane: Plane;
  /** Where it begins in the matrix's memory. */
  readonly start: number;
  /** The field in a block as stored, and the bytes that it takes in the plane. */
  readonly offset: number;
  readonly size: number;
  readonly pitch: number;
}

/** Where a weight's rows are. */
export interface MatrixPlace {
  readonly matrix: Matrix;
  readonly row: number;
}

export interface WeightLayout {
  readonly matrices: readonly Matrix[];
  readonly places: ReadonlyMap<WeightName, MatrixPlace>;
  /** Weights of norms, as f32. */
  readonly vectors: ReadonlyMap<WeightName, number>;
  readonly bytes: number;
}

export function planWeights(graph: Graph, infos: ReadonlyMap<WeightName, WeightInfo>): WeightLayout {
  const vectors = new Map<WeightName, number>();
  const places = new Map<WeightName, MatrixPlace>();
  const matrices: Matrix[] = [];
  const add = (names: readonly WeightName[]): void => {
    const members = names.map((name) => infos.get(name)!);
    const [{ format }, columns] = [members[0]!, columnCount(members[0]!)];
    const rows = members.reduce((sum, info) => sum + rowCount(info), 0);
    const matrix = layOut(format, rows, columns);
    matrices.push(matrix);
    let row = 0;
    for (const info of members) {
      places.set(info.name, { matrix, row });
      row += rowCount(info);
    }
  };
  const uses = new Map<WeightName, number>();
  for (const node of graph.nodes) {
    const name = node.op === "linear" ? node.weight : node.op === "embedding" ? node.table : undefined;
    if (name !== undefined) uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  for (const node of graph.nodes) {
    if (node.op === "rmsNorm") vectors.set(node.weight, columnCount(infos.get(node.weight)!));
    else if (node.op === "embedding" && !places.has(node.table)) add([node.table]);
    else if (node.op === "linear" && !places.has(node.weight)) {
      const info = infos.get(node.weight)!;
      const beside = graph.nodes.filter(
        (other) =>
          other.op === "linear" &&
          other.x === node.x &&
          uses.get(other.weight) === 1 &&
          infos.get(other.weight)!.format === info.format &&
          rowCount(infos.get(other.weight)!) % 4 === 0, // so that each part of the output starts at a whole vector
      );
      const names = beside.map((other) => (other.op === "linear" ? other.weight : ""));
      add(names.includes(node.weight) ? names : [node.weight]);
    }
  }
  const bytes =
    matrices.reduce((sum, matrix) => sum + matrix.bytes, 0) +
    [...vectors.values()].reduce((sum, width) => sum + 4 * width, 0);
  return { matrices, places, vectors, bytes };
}

function layOut(format: FormatName, rows: number, columns: number): Matrix {
  const { blockSize, blockBytes } = formats[format];
  const planes: PlaneLayout[] = [];
  let start = 0;
  const add = (plane: Plane, count: number, offset: number, size: number, pitch: number): void => {
    planes.push({ plane, start, offset, size, pitch });
    start = Math.ceil((start + count * pitch) / 256) * 256;
  };
  if (blockSize === 1) {
    const pitch = Math.ceil(columns / 8) * 8;
    add("q", rows, 0, columns * blockBytes, pitch * blockBytes);
    return { format, rows, columns, pitch, planes, bytes: start };
  }
  const pitch = columns / blockSize;
  for (const plane of ["q", "h", "s", "d"] as const) {
    const field = fields[format][plane];
    if (field !== undefined) add(plane, rows * pitch, field[0], field[1], field[1]);
  }
  return { format, rows, columns, pitch, planes, bytes: start };
}

/** Weights in the card's memory. */
export class LoadedWeights implements Disposable {
  readonly layout: WeightLayout;
  readonly #matrices: ReadonlyMap<Matrix, DeviceMemory>;
  readonly #vectors: ReadonlyMap<WeightName, DeviceMemory>;

  constructor(
    layout: WeightLayout,
    matrices: ReadonlyMap<Matrix, DeviceMemory>,
    vectors: ReadonlyMap<WeightName, DeviceMemory>,
  ) {
    this.layout = layout;
    this.#matrices = matrices;
    this.#vectors = vectors;
  }

  /** Addresses of a matrix's planes, in the order of the kernels' struct; 0 for those that its format has not. */
  planes(matrix: Matrix): readonly Handle[] {
    const { address } = this.#matrices.get(matrix)!;
    return (["q", "h", "s", "d"] as const).map((plane) => {
      const layout = matrix.planes.find((candidate) => candidate.plane === plane);
      return layout === undefined ? 0n : address + BigInt(layout.start);
    });
  }

  vector(name: WeightName): Handle {
    return this.#vectors.get(name)!.address;
  }

  [Symbol.dispose](): void {
    for (const memory of this.#matrices.values()) memory[Symbol.dispose]();
    for (const memory of this.#vectors.values()) memory[Symbol.dispose]();
  }
}

/** The weights that a matrix holds, for errors. */
function namesOf({ places }: WeightLayout, matrix: Matrix): string {
  const names = [...places].filter(([, place]) => place.matrix === matrix).map(([name]) => name);
  return names.join(", ");
}

/**
 * Reads all weights of a graph onto the card.
 *
 * @throws {CheckpointError} naming the tensor; {@link PolyllamaError} `ERR_MEMORY`, before anything is read
 */
export async function loadWeights(
  gpu: Gpu,
  graph: Graph,
  source: WeightSource,
  { onProgress, signal }: CompileOptions,
): Promise<LoadedWeights> {
  const infos = checkWeights(graph, source);
  const layout = planWeights(graph, source.weights);
  const matrices = new Map<Matrix, DeviceMemory>();
  const vectors = new Map<WeightName, DeviceMemory>();
  try {
    for (const matrix of layout.matrices) matrices.set(matrix, gpu.allocate(matrix.bytes, namesOf(layout, matrix)));
    for (const [name, width] of layout.vectors) vectors.set(name, gpu.allocate(4 * width, name));
    const pieces = infos.flatMap(piecesOf);
    using uploader = new Uploader(gpu);
    const total = infos.reduce((sum, info) => sum + storedBytes(info), 0);
    let done = 0;
    try {
      for await (const [number, bytes] of readAhead(source, pieces, signal)) {
        const { info, first, count } = pieces[number]!;
        const vector = vectors.get(info.name);
        const place = layout.places.get(info.name);
        if (vector !== undefined || info.format === "q8_k") assertFinite(source, info, bytes, first);
        if (vector !== undefined) {
          const values = new Float32Array(columnCount(info));
          formats[info.format].dequantize(bytes, values);
          await uploader.plain(vector, new Uint8Array(values.buffer));
        }
        if (place !== undefined) {
          const { matrix, row } = place;
          await uploader.rows(matrix, matrices.get(matrix)!, row + first, count, bytes, number);
        }
        done += bytes.length;
        onProgress?.({ phase: "loading weights", done, total });
      }
      await uploader.finished();
    } catch (error) {
      if (error instanceof NotFinite) await explain(source, pieces[error.piece]!, signal);
      throw error;
    }
    return new LoadedWeights(layout, matrices, vectors);
  } catch (error) {
    for (const memory of [...matrices.values(), ...vectors.values()]) memory[Symbol.dispose]();
    throw error;
  }
}

function storedBytes(info: WeightInfo): number {
  return formatBytes(info.format, rowCount(info) * columnCount(info));
}

/** Rows of a tensor that are read at once. */
interface Piece {
  readonly info: WeightInfo;
  readonly first: number;
  readonly count: number;
}

function piecesOf(info: WeightInfo): readonly Piece[] {
  const rows = rowCount(info);
  const step = Math.max(1, Math.floor((pieceBytes * rows) / storedBytes(info)));
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    return { info, first: i * step, count: Math.min(step, rows - i * step) };
  });
}

async function readPiece(source: WeightSource, { info, first, count }: Piece, signal: AbortSignal | undefined) {
  try {
    return await source.read(info.name, { first, count }, signal);
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.tensor !== undefined) throw error;
    const rows = `rows ${first} to ${first + count - 1} could not be read`;
    throw new CheckpointError({ file: error.file, tensor: info.name }, rows, error.message, { cause: error });
  }
}

/** Pieces in their order, with their numbers; those behind are being read meanwhile. */
async function* readAhead(
  source: WeightSource,
  pieces: readonly Piece[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [number, Uint8Array]> {
  const reads: Promise<Uint8Array>[] = [];
  let begun = 0;
  try {
    for (const number of pieces.keys()) {
      for (; begun < pieces.length && reads.length < readsAtOnce; begun++) {
        const read = readPiece(source, pieces[begun]!, signal);
        read.catch(() => undefined); // it is awaited in its turn
        reads.push(read);
      }
      const bytes = await reads.shift()!;
      signal?.throwIfAborted();
      yield [number, bytes];
    }
  } finally {
    await Promise.allSettled(reads); // the source may be closed when this has ended
  }
}

/** Thrown where the card has found a number that is none; what and where, the piece itself says. */
class NotFinite extends Error {
  readonly piece: number;

  constructor(piece: number) {
    super();
    this.piece = piece;
  }
}

/** @throws {CheckpointError} naming the row and columns. */
async function explain(source: WeightSource, piece: Piece, signal: AbortSignal | undefined): Promise<never> {
  const { info, first } = piece;
  assertFinite(source, info, await readPiece(source, piece, signal), first);
  throw new PolyllamaError("ERR_BACKEND", `The card found a NaN in ${info.name} that the file has not; load it again.`);
}

interface Slot {
  readonly host: PinnedMemory;
  readonly device: DeviceMemory;
  readonly event: Handle;
}

/** Two pinned buffers and two on the card, used in turn: one is filled while the other is on its way. */
class Uploader implements Disposable {
  readonly #gpu: Gpu;
  readonly #slots: Slot[] = [];
  /** Where the card notes a piece that is not finite, by its number from 1 on, and what the host has seen of that. */
  readonly #note: DeviceMemory;
  readonly #seen: PinnedMemory;
  #next = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.#note = gpu.allocate(16, "checks of weights");
    try {
      this.#seen = gpu.allocateHost(16, "checks of weights");
    } catch (error) {
      this.#note[Symbol.dispose]();
      throw error;
    }
    new Uint32Array(this.#seen.buffer).fill(0);
    gpu.copyToDevice(this.#note.address, this.#seen.address, 16);
  }

  async plain(to: DeviceMemory, bytes: Uint8Array): Promise<void> {
    const { host, event } = await this.#slot(bytes);
    this.#gpu.copyToDevice(to.address, host.address, bytes.length);
    this.#gpu.record(event);
  }

  /** @throws {NotFinite} for this piece or one before. */
  async rows(
    matrix: Matrix,
    to: DeviceMemory,
    row: number,
    count: number,
    bytes: Uint8Array,
    piece: number,
  ): Promise<void> {
    const { host, device, event } = await this.#slot(bytes);
    this.#gpu.copyToDevice(device.address, host.address, bytes.length);
    const from = { address: device.address, row, count, note: this.#note.address, piece };
    for (const launch of repack(matrix, from, to.address)) this.#gpu.launch(launch);
    this.#gpu.copyToHost(this.#seen.address, this.#note.address, 4);
    this.#gpu.record(event);
  }

  /** Waits for everything. @throws {NotFinite} */
  async finished(): Promise<void> {
    await this.#gpu.finished();
    this.#check();
  }

  #check(): void {
    const piece = new Uint32Array(this.#seen.buffer)[0]!;
    if (piece !== 0) throw new NotFinite(piece - 1);
  }

  /** The next slot, filled with bytes, when what it held before has gone. */
  async #slot(bytes: Uint8Array): Promise<Slot> {
    const gpu = this.#gpu;
    const index = this.#next;
    this.#next = 1 - index;
    let slot = this.#slots[index];
    if (slot !== undefined) await gpu.reached(slot.event);
    this.#check();
    if (slot === undefined || slot.device.size < bytes.length) {
      this.#release(slot);
      const size = Math.max(bytes.length, 1 << 16);
      slot = {
        host: gpu.allocateHost(size, "staging"),
        device: gpu.allocate(size, "staging"),
        event: gpu.createEvent(),
      };
      this.#slots[index] = slot;
    }
    new Uint8Array(slot.host.buffer, 0, bytes.length).set(bytes);
    return slot;
  }

  #release(slot: Slot | undefined): void {
    if (slot === undefined) return;
    slot.host[Symbol.dispose]();
    slot.device[Symbol.dispose]();
    this.#gpu.driver.destroyEvent(slot.event);
  }

  [Symbol.dispose](): void {
    for (const slot of this.#slots) this.#release(slot);
    this.#note[Symbol.dispose]();
    this.#seen[Symbol.dispose]();
  }
}

/** Rows as stored, on the card, and where they belong. */
interface Stored {
  readonly address: Handle;
  readonly row: number;
  readonly count: number;
  readonly note: Handle;
  readonly piece: number;
}

/** One launch per plane. */
function* repack(matrix: Matrix, { address, row, count, note, piece }: Stored, to: Handle): Generator<Launch> {
  const { blockSize, blockBytes } = formats[matrix.format];
  const perRow = blockSize === 1 ? 1 : matrix.pitch;
  const stored = blockSize === 1 ? matrix.columns * blockBytes : blockBytes;
  const blocks = count * perRow;
  const numbers = numbersOf(matrix.format, matrix.columns);
  for (const { plane, start, offset, size, pitch } of matrix.planes) {
    const checked = plane === (blockSize === 1 ? "q" : "d");
    const words = checked ? (numbers.count * numbers.bytes) / 2 : 0;
    const target = to + BigInt(start + row * perRow * pitch);
    const sizes = [stored / 2, offset / 2, size / 2, pitch / 2, blocks];
    const parameters: Parameter[] = [
      ...[address, target, note],
      ...[...sizes, words, numbers.bytes === 4 ? 1 : 0, numbers.exponent, piece + 1],
    ];
    const grid = [Math.ceil((blocks * pitch) / 2 / 256), 1, 1] as const;
    yield { image: "repack", kernel: "repack", grid, threads: 256, parameters };
  }
}
