// Weights on the card. Linears that read the same value in the same format become one matrix, rows below rows, so that one
// launch serves q, k and v. A block's fields are put into planes on the card (kernels/repack.cu): the file's bytes cross the bus
// as they are, through two pinned buffers that are filled while the other is copied, and no value changes.

import {
  assertFinite,
  type CompileOptions,
  checkWeights,
  columnCount,
  type FormatName,
  formatBytes,
  formats,
  type Graph,
  rowCount,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
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

/** Bytes that are read from the source and copied at once. */
const uploadBytes = 8 << 20;

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

/**
 * Reads all weights of a graph onto the card.
 *
 * @throws {CheckpointError}; {@link PolyllamaError} `ERR_MEMORY`, before anything is read
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
  const uploader = new Uploader(gpu);
  try {
    for (const matrix of layout.matrices) matrices.set(matrix, gpu.allocate(matrix.bytes));
    for (const [name, width] of layout.vectors) vectors.set(name, gpu.allocate(4 * width));
    const total = infos.reduce((sum, info) => sum + storedBytes(info), 0);
    let done = 0;
    for (const info of infos) {
      const rowBytes = storedBytes(info) / rowCount(info);
      const step = Math.max(1, Math.floor(uploadBytes / rowBytes));
      for (let first = 0; first < rowCount(info); first += step) {
        const count = Math.min(step, rowCount(info) - first);
        const bytes = await source.read(info.name, { first, count }, signal);
        signal?.throwIfAborted();
        assertFinite(source, info, bytes, first);
        const vector = vectors.get(info.name);
        const place = layout.places.get(info.name);
        if (vector !== undefined) {
          const values = new Float32Array(columnCount(info));
          formats[info.format].dequantize(bytes, values);
          await uploader.plain(vector, new Uint8Array(values.buffer));
        }
        if (place !== undefined) {
          await uploader.rows(place.matrix, matrices.get(place.matrix)!, place.row + first, count, bytes);
        }
        done += bytes.length;
        onProgress?.({ phase: "loading weights", done, total });
      }
    }
    await gpu.finished();
    return new LoadedWeights(layout, matrices, vectors);
  } catch (error) {
    for (const memory of [...matrices.values(), ...vectors.values()]) memory[Symbol.dispose]();
    throw error;
  } finally {
    uploader[Symbol.dispose]();
  }
}

function storedBytes(info: WeightInfo): number {
  return formatBytes(info.format, rowCount(info) * columnCount(info));
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
  #next = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  async plain(to: DeviceMemory, bytes: Uint8Array): Promise<void> {
    const { host, event } = await this.#slot(bytes);
    this.#gpu.copyToDevice(to.address, host.address, bytes.length);
    this.#gpu.driver.recordEvent(event, this.#gpu.stream);
  }

  async rows(matrix: Matrix, to: DeviceMemory, row: number, count: number, bytes: Uint8Array): Promise<void> {
    const { host, device, event } = await this.#slot(bytes);
    this.#gpu.copyToDevice(device.address, host.address, bytes.length);
    for (const launch of repack(matrix, device.address, to.address, row, count)) this.#gpu.launch(launch);
    this.#gpu.driver.recordEvent(event, this.#gpu.stream);
  }

  /** The next slot, filled with bytes, when what it held before has gone. */
  async #slot(bytes: Uint8Array): Promise<Slot> {
    const gpu = this.#gpu;
    const index = this.#next;
    this.#next = 1 - index;
    let slot = this.#slots[index];
    while (slot !== undefined && !gpu.driver.eventDone(slot.event))
      await new Promise((resolve) => setImmediate(resolve));
    if (slot === undefined || slot.device.size < bytes.length) {
      this.#release(slot);
      const size = Math.max(bytes.length, 1 << 16);
      slot = { host: gpu.allocateHost(size), device: gpu.allocate(size), event: gpu.driver.createEvent() };
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
  }
}

/** One launch per plane. */
function* repack(matrix: Matrix, from: Handle, to: Handle, row: number, rows: number): Generator<Launch> {
  const { blockSize, blockBytes } = formats[matrix.format];
  const perRow = blockSize === 1 ? 1 : matrix.pitch;
  const stored = blockSize === 1 ? matrix.columns * blockBytes : blockBytes;
  const blocks = rows * perRow;
  for (const { start, offset, size, pitch } of matrix.planes) {
    const target = to + BigInt(start + row * perRow * pitch);
    const parameters: Parameter[] = [from, target, stored / 2, offset / 2, size / 2, pitch / 2, blocks];
    const grid = [Math.ceil((blocks * pitch) / 2 / 256), 1, 1] as const;
    yield { image: "repack", kernel: "repack", grid, threads: 256, parameters };
  }
}
