// Memory that the steps of a program share. Steps run one after another on the card, so that one arena of activations
// serves all of them; only what the host writes and reads there are several of.

import type { Gpu } from "../gpu.ts";
import { Graphs } from "./graphs.ts";
import { GrowingMemory } from "./growing.ts";
import { Slots } from "./slots.ts";

export class Workspace implements Disposable {
  readonly gpu: Gpu;
  readonly arena: GrowingMemory;
  readonly partials: GrowingMemory;
  /** What the host tells of a chunk. */
  readonly step: GrowingMemory;
  /** KV blocks of sequences without a cache. */
  readonly blocks: GrowingMemory;
  readonly slots: Slots;
  readonly graphs: Graphs;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.arena = new GrowingMemory(gpu, "values");
    this.partials = new GrowingMemory(gpu, "partial sums of attention");
    this.step = new GrowingMemory(gpu, "what the host tells");
    this.blocks = new GrowingMemory(gpu, "keys and values");
    this.slots = new Slots(gpu);
    this.graphs = new Graphs(gpu);
  }

  /** How often memory has moved whose addresses graphs hold. */
  get moves(): number {
    return this.arena.moves + this.partials.moves + this.step.moves;
  }

  /** Nothing is under way. */
  [Symbol.dispose](): void {
    this.graphs[Symbol.dispose]();
    this.slots[Symbol.dispose]();
    for (const memory of [this.arena, this.partials, this.step, this.blocks]) memory[Symbol.dispose]();
  }
}
