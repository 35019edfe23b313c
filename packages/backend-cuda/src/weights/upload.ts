// From the host's memory into the planes of a matrix: pieces go into one of two pinned buffers while the card copies
// the other, and are repacked there. Numbers that are NaN or infinite are found by the card on the way: looking for
// them here would take longer than all the rest.

import { formats } from "@polyllama/formats";
import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import { repack } from "../kernels/repack.ts";
import type { Launch } from "../launch.ts";
import type { DeviceMemory, PinnedMemory } from "../memory.ts";
import { type Matrix, numbersOf } from "./layout.ts";

/** Thrown where the card has found NaN or an infinity; which and where, the piece itself says. */
export class NotFinite extends Error {
  readonly piece: number;

  constructor(piece: number) {
    super();
    this.piece = piece;
  }
}

interface Slot {
  readonly host: PinnedMemory;
  readonly device: DeviceMemory;
  readonly event: Handle;
}

/** Two pinned buffers and two on the card, used in turn: one is filled while the other is on its way. */
export class Uploader implements Disposable {
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
    for (const launch of repackPlanes(matrix, from, to.address)) this.#gpu.launch(launch);
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
function* repackPlanes(matrix: Matrix, { address, row, count, note, piece }: Stored, to: Handle): Generator<Launch> {
  const { blockSize, blockBytes } = formats[matrix.format];
  const perRow = blockSize === 1 ? 1 : matrix.pitch;
  const numbers = numbersOf(matrix.format, matrix.columns);
  for (const { plane, start, offset, size, pitch } of matrix.planes) {
    const checked = plane === (blockSize === 1 ? "q" : "d");
    yield repack({
      from: address,
      to: to + BigInt(start + row * perRow * pitch),
      note,
      piece: piece + 1,
      blocks: count * perRow,
      fromPitch: blockSize === 1 ? matrix.columns * blockBytes : blockBytes,
      toPitch: pitch,
      offset,
      size,
      checked: checked ? numbers : { ...numbers, count: 0 },
    });
  }
}
