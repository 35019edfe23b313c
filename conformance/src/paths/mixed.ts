// Steps as a server makes them: prompts beside sequences that decode, in any order, ragged, forked and rewound. Every
// row must be what the reference says of its text, and to the bit what the sequence gives alone.

import type { Wanted } from "@polyllama/core/device";
import type { ConformanceCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { smallConfig } from "../small-config.ts";
import { pathCase, walk } from "./path-case.ts";
import type { Part, Play, Sequence } from "./play.ts";
import type { PathModel, Text } from "./truth.ts";

const models = {
  f32: { config: smallConfig, format: "f32" },
  q4_0: { config: { ...smallConfig, heads: 8, kvHeads: 2, headDim: 8, tiedEmbeddings: true }, format: "q4_0" },
} satisfies Readonly<Record<string, PathModel>>;

/** Sequences that decode together, by the format of weights. */
const batches = combinations.with([
  { format: "f32", sequences: 1 },
  { format: "q4_0", sequences: 2 },
  { format: "f32", sequences: 5 },
  { format: "q4_0", sequences: 8 },
  { format: "f32", sequences: 16 },
  { format: "q4_0", sequences: 33 },
]);

const last: Wanted = { value: "logits", rows: "last" };
const hidden = "layers.0.out";

export function mixedCases(): readonly ConformanceCase[] {
  return batches.map(({ format, sequences }) =>
    pathCase("mixed", { format, sequences }, (device, seed) =>
      walk(device, seed, {
        model: models[format],
        lengths: [40, 37, 43],
        values: ["logits", hidden],
        twins: true,
        sequences: sequences + 5, // three prompts more, a fork, and a copy for when it and its parent write at once
        steps: (play, texts) => advance(play, texts, sequences),
      }),
    ),
  );
}

async function advance(play: Play, texts: readonly Text[], count: number): Promise<void> {
  const textOf = (i: number): Text => texts[i % texts.length]!;
  const decode = (sequences: readonly Sequence[]): readonly Part[] =>
    sequences.map((sequence) => ({ sequence, rows: 1 }));
  const open = (i: number, rows: number, room?: number): Part => ({ sequence: play.open(textOf(i), room), rows });

  const prompts = Array.from({ length: count }, (_, i) => open(i, 1 + ((i * 5) % 11), i === 0 ? 2 : 1));
  await play.step("ragged prompts", prompts);
  const running = prompts.map(({ sequence }) => sequence);
  await play.step("decode", decode(running), ["logits"]);

  const [before, behind] = [open(1, 9), open(2, 17)];
  await play.step("prompts before and behind", [before, ...decode(running), behind]);
  const between = open(0, 12);
  const half = Math.ceil(count / 2);
  const mixed = [...decode(running.slice(0, half)), between, ...decode(running.slice(half))];
  await play.step("a prompt between", mixed, [last, "logits", { value: hidden, rows: "last" }, hidden]);

  const forked = play.fork(running[0]!);
  const rewound = running.at(-1)!;
  play.rewind(rewound, 1);
  const others = running.slice(1, -1);
  const apart: readonly Part[] = [
    { sequence: forked, rows: 1 },
    { sequence: before.sequence, rows: 4 },
    ...(count > 1 ? [{ sequence: running[0]!, rows: 3 }] : []),
    ...decode(others),
    { sequence: rewound, rows: 5 },
    { sequence: between.sequence, rows: 1 },
  ];
  await play.step("a fork, its parent and a rewound sequence", apart);
  await play.step("decode all", decode([behind.sequence, forked, ...running, between.sequence]));
}
