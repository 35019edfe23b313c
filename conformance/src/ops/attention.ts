// attention: groupings, head widths, one key, full windows, chunks, ragged batches, rewound and forked caches.

import { buildGraph, type CacheFormat, type Graph, ops } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations, type InputKind, inputKinds } from "../inputs.ts";
import { type Random, random } from "../random.ts";
import type { Run, SequencePart } from "../script.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";
import { rowsOf, type ScenarioName, scenarioCapacity, scenarioNames, scenarios } from "./scenarios.ts";

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly d: number;
}

interface AttentionParameters extends Heads {
  readonly scenario: ScenarioName;
  readonly input: InputKind;
  readonly cache?: CacheFormat;
}

interface LongParameters extends Heads {
  /** Keys before the last row. */
  readonly past: number;
  readonly cache?: CacheFormat;
}

const normal = { input: "normal" } as const;
const grouped = { heads: 8, kvHeads: 2, d: 64 };
const published = { heads: 32, kvHeads: 32, d: 128 };

const shapes = combinations
  .with([
    { heads: 1, kvHeads: 1, d: 16 },
    { heads: 4, kvHeads: 4, d: 32 },
    { heads: 6, kvHeads: 2, d: 32 },
    { heads: 8, kvHeads: 4, d: 8 },
    { heads: 5, kvHeads: 1, d: 64 },
    { heads: 4, kvHeads: 2, d: 6 },
    { heads: 3, kvHeads: 3, d: 2 },
    { heads: 4, kvHeads: 2, d: 80 },
    published,
    { heads: 40, kvHeads: 40, d: 128 },
    { heads: 64, kvHeads: 8, d: 128 },
  ])
  .combine("scenario", ["prefill-decode", "ragged"])
  .with([normal]);

const short: readonly AttentionParameters[] = [
  ...combinations.with([grouped]).combine("scenario", scenarioNames).with([normal]),
  ...shapes,
  ...combinations.with([{ heads: 4, kvHeads: 2, d: 16, scenario: "prefill-decode" }]).combine(
    "input",
    inputKinds.filter((kind) => kind !== "normal"),
  ),
];

const rounded = (cache: CacheFormat): readonly AttentionParameters[] => [
  ...combinations
    .with([grouped])
    .combine("scenario", ["prefill-decode", "ragged", "rewind", "fork"])
    .with([{ ...normal, cache }]),
  { ...published, scenario: "prefill-decode", ...normal, cache },
];

const long: readonly LongParameters[] = [
  { heads: 2, kvHeads: 1, d: 8, past: 4095 },
  { heads: 2, kvHeads: 1, d: 8, past: 4160 },
  { heads: 4, kvHeads: 4, d: 128, past: 300 },
  { heads: 8, kvHeads: 1, d: 128, past: 700 },
  { heads: 2, kvHeads: 1, d: 260, past: 150 },
];

export function attentionCases(): readonly OpCase[] {
  return [
    ...short.map(attentionCase),
    ...(["f16", "bf16", "q8_0"] as const).flatMap((cache) => [
      ...rounded(cache).map(attentionCase),
      longCase({ heads: 4, kvHeads: 1, d: 128, past: 300, cache }),
    ]),
    ...long.map(longCase),
  ];
}

function attentionCase({ heads, kvHeads, d, scenario, input, cache }: AttentionParameters): OpCase {
  const shape = { heads, kvHeads, d };
  return opCase("attention", { ...shape, scenario, input, ...(cache && { cache }) }, (seed) => {
    const stream = random(`attention ${heads} ${kvHeads} ${d} ${scenario} ${input}`, seed);
    return {
      graph: attentionGraph(shape),
      weights: memoryWeights([]),
      capacity: scenarioCapacity,
      ...(cache && { cache }),
      actions: scenarios[scenario]((sequences) => runOf(shape, sequences, input, stream)),
    };
  });
}

/** Rows of each sequence of a step. */
const rowCounts: readonly (readonly number[])[] = [[1], [9], [4, 1, 33]];

/** With the log-sum-exp of each row and head beside it, for gradients: sequences have no caches there. */
export function attentionExtraCases(): readonly OpCase[] {
  const cases = combinations
    .with([grouped, { heads: 4, kvHeads: 4, d: 32 }, { heads: 5, kvHeads: 1, d: 6 }])
    .combine("rows", rowCounts)
    .with([normal]);
  return cases.map(({ rows, input, ...shape }) =>
    opCase("attention", { ...shape, rows: rows.join("+"), input, extra: "logSumExp" }, (seed) => {
      const stream = random(`attention extra ${shape.heads} ${rows}`, seed);
      const sequences = rows.map((count) => ({ rows: count }));
      return {
        graph: attentionGraph(shape, true),
        weights: memoryWeights([]),
        actions: [runOf(shape, sequences, input, stream)],
      };
    }),
  );
}

/** Decoding one row behind a long past. */
function longCase({ heads, kvHeads, d, past, cache }: LongParameters): OpCase {
  const shape = { heads, kvHeads, d };
  return opCase("attention", { ...shape, past, scenario: "long", ...normal, ...(cache && { cache }) }, (seed) => {
    const stream = random(`attention long ${past} ${d}`, seed);
    return {
      graph: attentionGraph(shape),
      weights: memoryWeights([]),
      capacity: past + 2,
      ...(cache && { cache }),
      actions: [past - 8, 8, 1].map((rows) => runOf(shape, [{ rows, cache: 0 }], "normal", stream)),
    };
  });
}

function attentionGraph({ heads, kvHeads, d }: Heads, logSumExp = false): Graph {
  return buildGraph((g) => {
    const [q, k, v] = [g.activations("q", heads * d), g.activations("k", kvHeads * d), g.activations("v", kvHeads * d)];
    const attributes = { heads, kvHeads, headDim: d, ...(logSumExp && ({ logSumExp: true } as const)) };
    const made = g.apply(ops.attention, "y", { q, k, v }, attributes);
    return [made.out, ...(made.logSumExp === undefined ? [] : [made.logSumExp])];
  });
}

function runOf(
  { heads, kvHeads, d }: Heads,
  sequences: readonly SequencePart[],
  input: InputKind,
  stream: Random,
): Run {
  const rows = rowsOf(sequences);
  // Large scores would make softmax a choice between two keys whose order is below any rounding.
  const scale = input === "large" ? 2 ** -24 : input === "cancelling" ? 2 ** -8 : 1;
  const scaled = (width: number) => activations(input, rows, width, stream).map((value) => value * scale);
  return {
    run: { q: scaled(heads * d), k: scaled(kvHeads * d), v: activations(input, rows, kvHeads * d, stream) },
    sequences,
  };
}
