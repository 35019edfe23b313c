// Weights on a device, as programs share them.

import {
  checkWeights,
  columnCount,
  cutWeight,
  type Graph,
  MemoryError,
  PolyllamaError,
  type Progress,
  resolveRanges,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { ParameterStorage } from "@polyllama/planner";
import type { Gpu } from "../gpu.ts";
import { scratchBytes } from "../memory.ts";
import { fromRows, matrixStride, toRows } from "../training/layout.ts";
import { readWords } from "../training/read.ts";
import { planWeights, type WeightLayout } from "./layout.ts";
import { allocateWeights, type DeviceWeights, uploadWeights } from "./upload.ts";

export class LoadedWeights implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly bytes: number;
  readonly gpu: Gpu;
  readonly layout: WeightLayout;
  readonly buffers: DeviceWeights;
  /** Where they came from. */
  readonly #source: WeightSource;

  constructor(
    gpu: Gpu,
    weights: ReadonlyMap<WeightName, WeightInfo>,
    layout: WeightLayout,
    buffers: DeviceWeights,
    source: WeightSource,
  ) {
    this.gpu = gpu;
    this.weights = weights;
    this.layout = layout;
    this.buffers = buffers;
    this.bytes = layout.bytes;
    this.#source = source;
  }

  /** These weights, and others beside them, whose memory stays theirs: what a graph that has both is computed with. */
  beside({ weights, layout, buffers }: LoadedWeights): LoadedWeights {
    const both = {
      ...this.layout,
      groups: [...this.layout.groups, ...layout.groups],
      places: new Map([...this.layout.places, ...layout.places]),
      parts: new Map([...this.layout.parts, ...layout.parts]),
    };
    const parts = new Map([...this.buffers.parts, ...buffers.parts]);
    const all = new Map([...this.weights, ...weights]);
    return new LoadedWeights(this.gpu, all, both, { ...this.buffers, parts }, this.#source);
  }

  /** Where the rows of a weight lie that stands alone in f32; undefined for others, which cannot be updated. */
  #rows({ name, format, shape }: WeightInfo): readonly RowsInBuffer[] | undefined {
    const vector = this.buffers.vectors.get(name);
    if (format !== "f32") return undefined;
    if (vector !== undefined) return [{ buffer: vector, before: 0, rows: 1, stride: shape[0]! }]; // it has one dimension
    const { group } = this.layout.places.get(name)!; // the layout has all weights
    if (group.members.length !== 1) return undefined;
    return this.layout.parts.get(group)!.map((part) => {
      return { ...part, buffer: this.buffers.parts.get(part)!.quants, stride: matrixStride(group.columns) }; // of each part
    });
  }

  /**
   * What overwrites a weight, given its values row after row.
   *
   * @throws {PolyllamaError} `ERR_PARAMETERS` for one that is not stored alone in f32
   */
  writer(name: WeightName): (values: Float32Array) => void {
    const info = this.weights.get(name)!; // the frame has seen that it is there
    const found = this.#rows(info);
    if (found === undefined) {
      const remedy = "Load them for a graph that updates it, with `mutable: true`.";
      const problem = `"${name}" is stored in ${info.format} and cannot be updated. ${remedy}`;
      throw new PolyllamaError("ERR_PARAMETERS", problem);
    }
    const columns = columnCount(info);
    return (values) => {
      for (const { buffer, before, rows, stride } of found) {
        const own = values.subarray(before * columns, (before + rows) * columns);
        this.gpu.device.queue.writeBuffer(buffer, 0, toRows(own, columns, stride));
      }
    };
  }

  /** Weights as they are when they are read; those that cannot be updated as they came. */
  export(): WeightSource {
    return {
      name: "parameters on WebGPU",
      weights: new Map(this.weights),
      read: async (name, ranges, signal) => {
        const info = this.weights.get(name)!; // the caller asks for what is listed
        const found = this.#rows(info);
        if (found === undefined) return this.#source.read(name, ranges, signal);
        const wanted = resolveRanges(info, ranges);
        const columns = columnCount(info);
        const own = new Float32Array(wanted.rows.count * columns);
        for (const { buffer, before, rows, stride } of found) {
          const first = Math.max(wanted.rows.first, before);
          const count = Math.min(wanted.rows.first + wanted.rows.count, before + rows) - first;
          if (count <= 0) continue;
          const view = { buffer, offset: 4 * (first - before) * stride, bytes: 4 * count * stride };
          const words = new Float32Array(await readWords(this.gpu, view));
          own.set(fromRows(words, columns, stride), (first - wanted.rows.first) * columns);
        }
        signal?.throwIfAborted();
        const cut = info.shape.length === 1 ? info : { ...info, shape: [wanted.rows.count, columns] };
        return cutWeight(new Uint8Array(own.buffer), resolveRanges(cut, { columns: ranges?.columns }));
      },
      fingerprint: async () => `webgpu ${crypto.randomUUID()}`,
    };
  }

  free(): void {
    for (const buffer of this.buffers.buffers) this.gpu.free(buffer);
  }
}

/** Rows of a weight in f32, so many words apart. */
interface RowsInBuffer {
  readonly buffer: GPUBuffer;
  /** Rows in the buffers before. */
  readonly before: number;
  readonly rows: number;
  readonly stride: number;
}

/** How weights are loaded. */
export interface LoadOptions {
  /** Whether each matrix is to be stored alone, as kernels of training want it. */
  readonly alone: boolean;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  readonly signal: AbortSignal;
}

/** @throws {CheckpointError}; {@link MemoryError}; the signal's reason */
export async function loadWeights(
  gpu: Gpu,
  graphs: readonly Graph[],
  source: WeightSource,
  { alone, onProgress, signal }: LoadOptions,
): Promise<LoadedWeights> {
  const infos = new Map(graphs.flatMap((graph) => checkWeights(graph, source)).map((info) => [info.name, info]));
  const layout = planWeights(graphs, infos, gpu.limits, alone);
  const needed = layout.bytes + graphs.reduce((most, graph) => Math.max(most, scratchBytes(graph)), 0);
  const available = gpu.memory - gpu.live.bytes;
  if (needed > available) throw new MemoryError("The model", needed, available, 0);
  const loaded = new LoadedWeights(gpu, infos, layout, await allocateWeights(gpu, layout), source);
  try {
    await uploadWeights(loaded, source, onProgress, signal);
    return loaded;
  } catch (error) {
    loaded.free();
    throw error;
  }
}
