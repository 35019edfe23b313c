// What happens to caches: prefill and decode, chunks, ragged batches, rewound and forked ones. Attention is tried in
// all of these, alone and behind other operations.

import type { Action, Run, SequencePart } from "../script.ts";

/** Capacity of caches that any of these fits in; one of them fills it. */
export const scenarioCapacity = 64;

type Scenario = (run: (sequences: readonly SequencePart[]) => Run) => readonly Action[];

export type ScenarioName =
  | "one-key"
  | "no-cache"
  | "prefill"
  | "prefill-decode"
  | "chunks"
  | "full-window"
  | "ragged"
  | "rewind"
  | "fork";

/** What happens to caches, by name. */
export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  /** A single row sees only itself. */
  "one-key": (run) => [run([{ rows: 1, cache: 0 }])],
  /** Rows without a cache see each other, causally. */
  "no-cache": (run) => [run([{ rows: 9 }])],
  prefill: (run) => [run([{ rows: 33, cache: 0 }])],
  "prefill-decode": (run) => [run([{ rows: 5, cache: 0 }]), run([{ rows: 1, cache: 0 }]), run([{ rows: 1, cache: 0 }])],
  chunks: (run) => [1, 7, 16, 3].map((rows) => run([{ rows, cache: 0 }])),
  /** The cache is filled to its last position. */
  "full-window": (run) => [run([{ rows: 60, cache: 0 }]), run([{ rows: 3, cache: 0 }]), run([{ rows: 1, cache: 0 }])],
  ragged: (run) => [
    run([
      { rows: 4, cache: 0 },
      { rows: 1, cache: 1 },
      { rows: 9, cache: 2 },
    ]),
    run([
      { rows: 1, cache: 2 },
      { rows: 6, cache: 0 },
      { rows: 1, cache: 1 },
    ]),
    run([
      { rows: 1, cache: 0 },
      { rows: 1, cache: 1 },
      { rows: 1, cache: 2 },
    ]),
    run([{ rows: 2 }, { rows: 2, cache: 1 }]),
  ],
  rewind: (run) => [
    run([{ rows: 12, cache: 0 }]),
    { truncate: 5, cache: 0 },
    run([{ rows: 1, cache: 0 }]),
    { truncate: 3, cache: 0 },
    run([{ rows: 4, cache: 0 }]),
    { truncate: 0, cache: 0 },
    run([{ rows: 2, cache: 0 }]),
  ],
  fork: (run) => [
    run([{ rows: 6, cache: 0 }]),
    { fork: 0, to: 1 },
    run([{ rows: 3, cache: 1 }]),
    run([{ rows: 1, cache: 0 }]),
    run([
      { rows: 1, cache: 0 },
      { rows: 2, cache: 1 },
    ]),
  ],
};

export const scenarioNames: readonly ScenarioName[] = Object.keys(scenarios) as ScenarioName[]; // its own keys

/** Rows of sequences together. */
export function rowsOf(sequences: readonly SequencePart[]): number {
  return sequences.reduce((sum, { rows }) => sum + rows, 0);
}
