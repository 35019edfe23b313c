// Memory of a program that trains: values within a step, and what the library is told.

import type { Machine } from "../machine.ts";
import { GrowingMemory } from "../program/growing.ts";

export class TrainingMemory implements Disposable {
  readonly values: GrowingMemory;
  readonly told: GrowingMemory;

  constructor(machine: Machine) {
    this.values = new GrowingMemory(machine, "values of a step of training");
    this.told = new GrowingMemory(machine, "the description of a step");
  }

  [Symbol.dispose](): void {
    this.values[Symbol.dispose]();
    this.told[Symbol.dispose]();
  }
}
