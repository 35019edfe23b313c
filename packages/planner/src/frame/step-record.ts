// A submitted step until it settles: what it changed in caches, so that it can be undone, and which other steps it
// builds upon.

import { PolyllamaError } from "@polyllama/core";

/** A change of a cache that a step made when it was submitted. */
export interface CacheChange {
  /** Takes it back. */
  undo(): void;
  /** Forgets how. */
  keep(): void;
}

let submitted = 0;

/** A step under way. */
export class StepRecord {
  readonly #number = submitted++;
  readonly #changes: CacheChange[] = [];
  readonly #dependencies: StepRecord[] = [];
  readonly #dependents: StepRecord[] = [];
  readonly #settled: Promise<void>;
  #settle: () => void = () => undefined;
  #state: "under way" | "kept" | "failed" = "under way";

  constructor() {
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** A change to take back if the step fails. */
  add(change: CacheChange): void {
    this.#changes.push(change);
  }

  /** This step uses what another one leaves in a cache or a tensor. */
  dependsOn(other: StepRecord): void {
    if (other === this || this.#dependencies.includes(other) || other.#state === "kept") return;
    this.#dependencies.push(other);
    other.#dependents.push(this);
  }

  /** @throws {PolyllamaError} `ERR_DEPENDENCY` when it cannot succeed any more */
  assertPossible(): void {
    if (this.#state === "failed" || this.#dependencies.some((other) => other.#state === "failed")) throw dependency();
  }

  /** Waits for the steps that it builds upon. @throws {PolyllamaError} `ERR_DEPENDENCY` when one of them failed */
  async dependencies(): Promise<void> {
    for (const other of [...this.#dependencies]) await other.#settled;
    this.assertPossible();
  }

  /** Waits for this step. @throws {PolyllamaError} `ERR_DEPENDENCY` when it failed */
  async success(): Promise<void> {
    await this.#settled;
    if (this.#state === "failed") throw dependency();
  }

  /** It succeeded. */
  keep(): void {
    this.#state = "kept";
    for (const change of this.#changes) change.keep();
    this.#release();
  }

  /** It failed: takes back its changes and those of all steps that build upon it, the latest first. */
  fail(): void {
    const failed = new Set<StepRecord>();
    const collect = (record: StepRecord): void => {
      if (record.#state !== "under way" || failed.has(record)) return;
      failed.add(record);
      for (const dependent of record.#dependents) collect(dependent);
    };
    collect(this);
    for (const record of [...failed].sort((a, b) => b.#number - a.#number)) {
      record.#state = "failed";
      for (const change of [...record.#changes].reverse()) change.undo();
      record.#release();
    }
  }

  /** What has settled holds nothing any more, or a chain of steps would keep all of its beginning. */
  #release(): void {
    this.#changes.length = 0;
    this.#dependencies.length = 0;
    this.#dependents.length = 0;
    this.#settle();
  }
}

function dependency(): PolyllamaError {
  return new PolyllamaError(
    "ERR_DEPENDENCY",
    "This step builds upon another one that failed or was aborted; submit it again from where its sequences stand now.",
  );
}
