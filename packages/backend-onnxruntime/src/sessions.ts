// The sessions of a program, one per set of values that steps ask for. A session that computes more serves, too; of
// those that compiling did not ask for, a few are kept.

import type { Graph, ValueName } from "@polyllama/core";
import { assertStored, UnderWay } from "@polyllama/planner";
import { type Lowering, lower } from "./lower.ts";
import type { Ort } from "./ort/api.ts";
import { Session } from "./ort/session.ts";
import { weightPreferences } from "./pack/layout.ts";
import type { OnnxRuntimeParameters } from "./parameters.ts";

export interface SessionParts {
  readonly ort: Ort;
  readonly graph: Graph;
  readonly parameters: OnnxRuntimeParameters;
  readonly threads: number;
  readonly accuracyLevel: 1 | 4;
}

/** A session for one set of values. */
export interface Variant {
  readonly lowering: Lowering;
  /** Undefined where there is nothing to compute. */
  readonly session: Session | undefined;
}

/** A session in use, or about to be. */
export interface HeldVariant {
  readonly loading: Promise<Variant>;
  release(): void;
}

interface Slot {
  readonly values: ReadonlySet<ValueName>;
  readonly fillsCaches: boolean;
  readonly loading: Promise<Variant>;
  /** Steps that hold it. */
  users: number;
  /** Grows with every use. */
  used: number;
}

/** Sessions kept besides the first; each holds its weights in memory. */
const keptVariants = 2;

export class Sessions implements AsyncDisposable {
  readonly #parts: SessionParts;
  #slots: readonly Slot[] = [];
  #uses = 0;
  readonly #freeing = new UnderWay();

  /** @throws {PolyllamaError} `ERR_PARAMETERS` for parameters of other graphs. */
  constructor(parts: SessionParts) {
    this.#parts = parts;
    assertStored(parts.graph, parts.parameters.layout, weightPreferences);
  }

  /** A session that computes the given values, one there is or another one, until it is released. */
  hold(values: ReadonlySet<ValueName>, fillsCaches: boolean): HeldVariant {
    const serves = (slot: Slot): boolean =>
      (slot.fillsCaches || !fillsCaches) && [...values].every((value) => slot.values.has(value));
    const [known] = this.#slots.filter(serves).sort((a, b) => a.values.size - b.values.size);
    const slot = known ?? this.#add(values, fillsCaches);
    slot.users++;
    slot.used = ++this.#uses;
    let held = true;
    return {
      loading: slot.loading,
      release: () => {
        if (held) slot.users--;
        held = false;
        this.#dropIdle();
      },
    };
  }

  #add(values: ReadonlySet<ValueName>, fillsCaches: boolean): Slot {
    const made = { values, fillsCaches, users: 0, used: 0, loading: this.#load(values, fillsCaches) };
    this.#slots = [...this.#slots, made];
    // What cannot be loaded is tried anew by whoever asks next, also where nobody waited for it any more.
    made.loading.catch(() => {
      this.#slots = this.#slots.filter((other) => other !== made);
    });
    return made;
  }

  async #load(values: ReadonlySet<ValueName>, fillsCaches: boolean): Promise<Variant> {
    const { ort, graph, parameters, threads, accuracyLevel } = this.#parts;
    const lowering = lower(graph, parameters.layout, { wanted: values, fillsCaches, accuracyLevel });
    if (lowering.empty) return { lowering, session: undefined };
    const inputs = lowering.inputs.map(({ name }) => name);
    const outputs = [...lowering.outputs.values(), ...lowering.caches].map(({ name }) => name);
    const options = { threads, weightsFolder: parameters.folder };
    return { lowering, session: await Session.load(ort, lowering.model, inputs, outputs, options) };
  }

  /** Frees sessions that have not been used for longest, never the first, which compiling asked for. */
  #dropIdle(): void {
    const [, ...others] = this.#slots;
    const idle = others.filter(({ users }) => users === 0).sort((a, b) => a.used - b.used);
    for (const slot of idle.slice(0, Math.max(0, others.length - keptVariants))) {
      this.#slots = this.#slots.filter((other) => other !== slot);
      this.#freeing.add(slot.loading.then(({ session }) => session?.[Symbol.asyncDispose]()));
    }
  }

  /** No step is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#freeing.settled();
    for (const variant of await Promise.allSettled(this.#slots.map(({ loading }) => loading))) {
      if (variant.status === "fulfilled") await variant.value.session?.[Symbol.asyncDispose]();
    }
  }
}
