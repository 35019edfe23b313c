// A plan with memory for so many rows: what is enqueued, and what is copied in and out around it. Everything that differs from
// step to step (tokens, positions, caches, rotations, inputs) is written into pinned memory at a fixed place and read from there by
// the first copy, so that the whole step can be captured once as a graph and launched for every token with a single call.

import { type DrawOptions, type RealArray, RotationTable, type ValueName } from "@polyllama/core";
import type { Handle } from "./driver/api.ts";
import type { Gpu } from "./gpu.ts";
import { type Row, rowBytes, writeRow } from "./kernels/row.ts";
import { type SampledStep, sampleLaunches, stateBytes, writeState } from "./kernels/sample.ts";
import type { Launch } from "./launch.ts";
import type { DeviceMemory, ExecutableGraph, PinnedMemory } from "./memory.ts";
import type { Addresses, Place, Plan, Storage } from "./plan.ts";

/** A row of a step. */
export interface StepRow extends Row {
  /** Position for rotations. */
  readonly angle: number;
  /** Where the row's inputs are in the step's. */
  readonly index: number;
  /** Whether it is its sequence's last. */
  readonly last: boolean;
}

/** What chooses tokens on the card, for a generation. */
export interface Sampler {
  /** Value that holds the logits. */
  readonly logits: ValueName;
  readonly draw: DrawOptions;
  /** The token chosen last, and core's table of powers, in the card's memory. */
  readonly chosen: Handle;
  readonly table: Handle;
}

export class Execution implements Disposable {
  readonly plan: Plan;
  /** Most rows. */
  readonly capacity: number;
  readonly #gpu: Gpu;
  readonly #parts: number;
  readonly #starts: ReadonlyMap<Storage, number>;
  readonly #memory: DeviceMemory;
  readonly #partials: DeviceMemory;
  readonly #step: DeviceMemory;
  readonly #in: PinnedMemory;
  readonly #out: PinnedMemory;
  readonly #owned: Disposable[] = [];
  readonly #sampler: Sampler | undefined;
  readonly #event: Handle;
  readonly #rotation: RotationTable;
  #graph: ExecutableGraph | undefined;

  constructor(gpu: Gpu, plan: Plan, capacity: number, parts: number, sampler?: Sampler) {
    this.#gpu = gpu;
    this.#sampler = sampler;
    this.#rotation = new RotationTable(plan.rotations.map(({ node }) => node));
    this.plan = plan;
    this.capacity = capacity;
    this.#parts = parts;
    const { starts, width } = assign(plan);
    this.#starts = starts;
    const own = <T extends Disposable>(made: T): T => {
      this.#owned.push(made);
      return made;
    };
    const rows = `a run of ${capacity} rows`;
    try {
      this.#memory = own(gpu.allocate(4 * width * capacity, `${rows}: values`));
      this.#partials = own(gpu.allocate(4 * plan.partialWidth * parts * capacity, `${rows}: partial sums`));
      const stepBytes = this.#layout(capacity).bytes;
      this.#step = own(gpu.allocate(stepBytes, rows));
      let inputs = 0;
      for (const { storage } of plan.inputs.values()) inputs += 4 * storage.stride * capacity;
      this.#in = own(gpu.allocateHost(stepBytes + inputs, `${rows}: inputs`));
      let outputs = 0;
      for (const { storage } of plan.outputs.values()) outputs += 4 * storage.stride * capacity;
      this.#out = own(gpu.allocateHost(outputs, `${rows}: outputs`));
      const event = gpu.createEvent();
      this.#event = event;
      own({ [Symbol.dispose]: () => gpu.driver.destroyEvent(event) });
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Offsets within the step's memory. */
  #layout(rows: number): {
    readonly selection: number;
    readonly rotation: number;
    readonly state: number;
    readonly bytes: number;
  } {
    const selection = Math.ceil((rowBytes * rows) / 16) * 16;
    const rotation = selection + Math.ceil((4 * rows) / 16) * 16;
    const state = rotation + 8 * rows * this.plan.rotationStride;
    return { selection, rotation, state, bytes: state + (this.#sampler === undefined ? 0 : stateBytes) };
  }

  /**
   * Runs the plan for rows of a step.
   *
   * @param graph Whether the launches are captured once and repeated; `rows` must then always be as many.
   * @returns for every output of the plan its rows, or selected rows, valid until the next run.
   */
  async run(
    rows: readonly StepRow[],
    inputs: ReadonlyMap<ValueName, RealArray>,
    graph: boolean,
  ): Promise<ReadonlyMap<ValueName, OutputRows>> {
    this.#submit(rows, inputs, graph);
    await this.#gpu.reached(this.#event);
    return this.#outputs(rows.length, rows.filter(({ last }) => last).length);
  }

  /** Enqueues a step of one row that ends with a token being chosen. */
  enqueueSampled(row: StepRow, step: SampledStep): void {
    writeState(new DataView(this.#in.buffer), this.#layout(1).state, this.#sampler!.draw, step);
    this.#submit([row], new Map(), true);
  }

  /** The token that {@link enqueueSampled} enqueued the choice of; undefined where logits are NaN. */
  async sampled(): Promise<number | undefined> {
    await this.#gpu.reached(this.#event);
    const token = new DataView(this.#out.buffer).getUint32(0, true);
    return token === 0xffffffff ? undefined : token;
  }

  #submit(rows: readonly StepRow[], inputs: ReadonlyMap<ValueName, RealArray>, graph: boolean): void {
    const selected = rows.filter(({ last }) => last).length;
    this.#write(rows, inputs);
    if (graph) {
      if (this.#graph === undefined) {
        const launches = this.#launches(rows.length, selected);
        this.#gpu.prepare(launches);
        this.#graph = this.#gpu.capture(() => this.#enqueue(launches, rows.length, selected));
      }
      this.#graph.launch();
    } else this.#enqueue(this.#launches(rows.length, selected), rows.length, selected);
    this.#gpu.record(this.#event);
  }

  #launches(rows: number, selected: number): readonly Launch[] {
    const { selection, rotation } = this.#layout(rows);
    const at: Addresses = {
      rows,
      selected,
      parts: this.#parts,
      step: this.#step.address,
      selection: this.#step.address + BigInt(selection),
      rotation: this.#step.address + BigInt(rotation),
      partials: this.#partials.address,
      storage: (storage) => this.#memory.address + BigInt(4 * this.capacity * this.#starts.get(storage)!),
    };
    const launches = this.plan.steps
      .flatMap((step) => step.launches(at))
      .filter(({ grid }) => grid.every((blocks) => blocks > 0));
    if (this.#sampler === undefined) return launches;
    const { logits, chosen, table } = this.#sampler;
    const place = this.plan.outputs.get(logits)!;
    const { take, choose } = sampleLaunches({
      logits: this.#addressOf(place.storage) + BigInt(4 * place.offset),
      vocabulary: place.width,
      table,
      state: this.#step.address + BigInt(this.#layout(rows).state),
      step: at.step,
      chosen,
    });
    return [take, ...launches, choose];
  }

  #enqueue(launches: readonly Launch[], rows: number, selected: number): void {
    const gpu = this.#gpu;
    const { bytes } = this.#layout(rows);
    gpu.copyToDevice(this.#step.address, this.#in.address, bytes);
    let from = this.#layout(this.capacity).bytes;
    for (const { storage } of this.plan.inputs.values()) {
      gpu.copyToDevice(this.#addressOf(storage), this.#in.address + BigInt(from), 4 * storage.stride * rows);
      from += 4 * storage.stride * this.capacity;
    }
    for (const launch of launches) gpu.launch(launch);
    if (this.#sampler !== undefined) {
      gpu.copyToHost(this.#out.address, this.#sampler.chosen, 4);
      return;
    }
    let to = 0;
    for (const { storage } of this.plan.outputs.values()) {
      const count = storage.selected ? selected : rows;
      if (count > 0)
        gpu.copyToHost(this.#out.address + BigInt(to), this.#addressOf(storage), 4 * storage.stride * count);
      to += 4 * storage.stride * this.capacity;
    }
  }

  #addressOf(storage: Storage): Handle {
    return this.#memory.address + BigInt(4 * this.capacity * this.#starts.get(storage)!);
  }

  /** Fills the pinned memory. */
  #write(rows: readonly StepRow[], inputs: ReadonlyMap<ValueName, RealArray>): void {
    const { rotationStride } = this.plan;
    const { selection, rotation } = this.#layout(rows.length);
    const view = new DataView(this.#in.buffer);
    let chosen = 0;
    for (const [n, row] of rows.entries()) {
      writeRow(view, rowBytes * n, row);
      if (row.last) view.setUint32(selection + 4 * chosen++, n, true);
    }
    const angles = rows.map(({ angle }) => angle);
    this.#rotation.write(angles, new Float32Array(this.#in.buffer, rotation, 2 * rotationStride * rows.length));
    let from = this.#layout(this.capacity).bytes;
    for (const [name, { storage, width }] of this.plan.inputs) {
      const values = inputs.get(name)!;
      const target = new Float32Array(this.#in.buffer, from, storage.stride * rows.length);
      if (width < storage.stride) target.fill(0);
      for (const [n, { index }] of rows.entries()) {
        target.set(values.subarray(index * width, (index + 1) * width), n * storage.stride);
      }
      from += 4 * storage.stride * this.capacity;
    }
  }

  #outputs(rows: number, selected: number): ReadonlyMap<ValueName, OutputRows> {
    const outputs = new Map<ValueName, OutputRows>();
    let from = 0;
    for (const [name, place] of this.plan.outputs) {
      const count = place.storage.selected ? selected : rows;
      const data = new Float32Array(this.#out.buffer, from, place.storage.stride * count);
      outputs.set(name, { place, data });
      from += 4 * place.storage.stride * this.capacity;
    }
    return outputs;
  }

  [Symbol.dispose](): void {
    this.#graph?.[Symbol.dispose]();
    for (const memory of this.#owned) memory[Symbol.dispose]();
  }
}

export interface OutputRows {
  readonly place: Place;
  readonly data: Float32Array;
}

/** Row `n` of an output. */
export function outputRow({ place, data }: OutputRows, n: number): Float32Array {
  const start = n * place.storage.stride + place.offset;
  return data.subarray(start, start + place.width);
}

/** A start for every storage, in elements per row, so that no two that live at the same time overlap. */
function assign({ lifetimes }: Plan): { readonly starts: ReadonlyMap<Storage, number>; readonly width: number } {
  const starts = new Map<Storage, number>();
  let width = 0;
  const ordered = [...lifetimes].sort(([, [a]], [, [b]]) => a - b);
  for (const [storage, [first, last]] of ordered) {
    const taken = ordered
      .filter(([other, [from, to]]) => starts.has(other) && from <= last && first <= to)
      .map(([other]) => [starts.get(other)!, starts.get(other)! + other.stride] as const)
      .sort(([a], [b]) => a - b);
    let start = 0;
    for (const [from, to] of taken) {
      if (start + storage.stride <= from) break;
      start = Math.max(start, to);
    }
    starts.set(storage, start);
    width = Math.max(width, start + storage.stride);
  }
  return { starts, width };
}
