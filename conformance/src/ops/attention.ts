// attention: groupings, head widths, one key, full windows, chunks, ragged batches, rewound and forked caches.

import { buildGraph, type CacheFormat } from "@polyllama/core";
import { type Action, type OpCase, opCase, type SequencePart } from "../case.ts";
import { activations, type InputKind } from "../inputs.ts";
import { type Random, random } from "../random.ts";
import { memoryWeights } from "../weights.ts";

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly d: number;
}

type Scenario = (run: (batch: readonly SequencePart[]) => Action) => readonly Action[];

/** What happens to a cache, by name. */
export const attentionScenarios: Readonly<Record<string, Scenario>> = {
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

const capacity = 64;

export function attentionCases(): readonly OpCase[] {
  const grouped: Heads = { heads: 8, kvHeads: 2, d: 64 };
  const shapes: readonly Heads[] = [
    { heads: 1, kvHeads: 1, d: 16 },
    { heads: 4, kvHeads: 4, d: 32 },
    { heads: 6, kvHeads: 2, d: 32 },
    { heads: 8, kvHeads: 4, d: 8 },
    { heads: 5, kvHeads: 1, d: 64 },
    { heads: 4, kvHeads: 2, d: 6 },
    { heads: 3, kvHeads: 3, d: 2 },
    { heads: 4, kvHeads: 2, d: 80 },
    { heads: 32, kvHeads: 32, d: 128 },
    { heads: 40, kvHeads: 40, d: 128 },
    { heads: 64, kvHeads: 8, d: 128 },
  ];
  const kinds: readonly InputKind[] = ["cancelling", "large", "tiny", "zeros", "one-hot"];
  return [
    ...Object.keys(attentionScenarios).map((scenario) => attentionCase(grouped, scenario, "normal")),
    ...shapes.flatMap((shape) =>
      ["prefill-decode", "ragged"].map((scenario) => attentionCase(shape, scenario, "normal")),
    ),
    ...kinds.map((kind) => attentionCase({ heads: 4, kvHeads: 2, d: 16 }, "prefill-decode", kind)),
    ...(["f16", "bf16"] as const).flatMap((cache) => [
      ...["prefill-decode", "ragged", "rewind", "fork"].map((scenario) =>
        attentionCase(grouped, scenario, "normal", cache),
      ),
      attentionCase({ heads: 32, kvHeads: 32, d: 128 }, "prefill-decode", "normal", cache),
      longCase({ heads: 4, kvHeads: 1, d: 128 }, 300, cache),
    ]),
    longCase({ heads: 2, kvHeads: 1, d: 8 }, 4095),
    longCase({ heads: 2, kvHeads: 1, d: 8 }, 4160),
    longCase({ heads: 4, kvHeads: 4, d: 128 }, 300),
    longCase({ heads: 8, kvHeads: 1, d: 128 }, 700),
    longCase({ heads: 2, kvHeads: 1, d: 260 }, 150),
  ];
}

function attentionCase(shape: Heads, scenario: string, input: InputKind, cache?: CacheFormat): OpCase {
  const { heads, kvHeads, d } = shape;
  return opCase("attention", { heads, kvHeads, d, scenario, input, ...(cache && { cache }) }, (seed) => {
    const stream = random(`attention ${heads} ${kvHeads} ${d} ${scenario} ${input}`, seed);
    return {
      graph: attentionGraph(shape),
      weights: memoryWeights([]),
      capacity,
      ...(cache && { cache }),
      actions: attentionScenarios[scenario]!((batch) => runOf(shape, batch, input, stream)),
    };
  });
}

/** Decoding one row behind a long past. */
function longCase(shape: Heads, past: number, cache?: CacheFormat): OpCase {
  return opCase("attention", { ...shape, past, scenario: "long", input: "normal", ...(cache && { cache }) }, (seed) => {
    const stream = random(`attention long ${past} ${shape.d}`, seed);
    return {
      graph: attentionGraph(shape),
      weights: memoryWeights([]),
      capacity: past + 2,
      ...(cache && { cache }),
      actions: [...[past - 8, 8, 1].map((rows) => runOf(shape, [{ rows, cache: 0 }], "normal", stream))],
    };
  });
}

function attentionGraph({ heads, kvHeads, d }: Heads) {
  return buildGraph((g) => [
    g.attention("y", g.activations("q", heads * d), g.activations("k", kvHeads * d), g.activations("v", kvHeads * d), {
      heads,
      kvHeads,
      headDim: d,
    }),
  ]);
}

function runOf({ heads, kvHeads, d }: Heads, batch: readonly SequencePart[], input: InputKind, stream: Random): Action {
  const rows = batch.reduce((sum, part) => sum + part.rows, 0);
  // Large scores would make softmax a choice between two keys whose order is below any rounding.
  const scale = input === "large" ? 2 ** -24 : input === "cancelling" ? 2 ** -8 : 1;
  const scaled = (width: number) => activations(input, rows, width, stream).map((value) => value * scale);
  return {
    run: { q: scaled(heads * d), k: scaled(kvHeads * d), v: activations(input, rows, kvHeads * d, stream) },
    batch,
  };
}
