// What exceeds a binding or a submission: matrices that stand together, gate and up, the table of embeddings, tied or
// not, and caches cut by heads, each beyond one buffer; steps cut into several submissions. Limits are lowered for it:
// see {@link loweredLimits}.

import type { LlamaConfig } from "@polyllama/core";
import type { ConformanceCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { smallConfig } from "../small-config.ts";
import { notLowered } from "../support.ts";
import { pathCase, walk } from "./path-case.ts";
import type { PathModel } from "./truth.ts";

/**
 * Limits under which the models of these cases are split everywhere: every large matrix in parts, caches into ranges of
 * some key/value heads, a submission after every operation that multiplies.
 */
export const loweredLimits: {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly submissionWork: number;
} = { maxStorageBufferBindingSize: 5120, maxBufferSize: 5120, submissionWork: 1 };

const textLength = 48;
/** Pools of two blocks of 32 positions where blocks are that small. */
const capacity = 24;
/** Heads of 8 take 2,048 bytes in such a pool: ranges of two, two and one, each of which four queries read. */
const grouped: LlamaConfig = { ...smallConfig, layers: 3, heads: 20, kvHeads: 5, headDim: 8, vocabSize: 203 };
/** Blocks of k-quants are 256 wide. A range has one head, which four queries read. */
const wide: LlamaConfig = { ...smallConfig, dim: 256, hiddenDim: 256, heads: 16, kvHeads: 4, headDim: 16 };

const models = combinations.with<PathModel>([
  { format: "f32", config: grouped },
  { format: "q4_0", config: { ...grouped, tiedEmbeddings: true } },
  { format: "f16", config: grouped },
  { format: "q5_1", config: { ...grouped, vocabSize: 260 } },
  { format: "q6_k", config: wide },
]);

export function splitCases(): readonly ConformanceCase[] {
  return models.map(({ format, config }) =>
    pathCase(
      "split",
      { format, heads: config.heads, kvHeads: config.kvHeads, tied: String(config.tiedEmbeddings) },
      async (_, seed, lowered) => {
        if (lowered === undefined) return notLowered;
        return walk(lowered, seed, {
          model: { config, format },
          lengths: [textLength, textLength],
          capacity,
          values: ["logits", "layers.1.h"],
          twins: true,
          async steps(play, [first, second]) {
            const [a, b] = [play.open(first!, 2), play.open(second!, 2)];
            await play.step("prompts", [
              { sequence: a, rows: 13 },
              { sequence: b, rows: 20 },
            ]);
            await play.step("decode", [
              { sequence: a, rows: 1 },
              { sequence: b, rows: 1 },
            ]);
            const c = play.fork(a);
            play.rewind(b, 4);
            const wanted = ["logits", { value: "layers.1.h", rows: "last" }] as const;
            await play.step(
              "a fork and a rewound sequence",
              [
                { sequence: c, rows: 1 },
                { sequence: b, rows: 3 },
              ],
              wanted,
            );
            await play.step("its parent", [{ sequence: a, rows: 9 }], wanted); // the block is its own now
            await play.step(
              "decode all",
              [b, c, a].map((sequence) => ({ sequence, rows: 1 })),
              ["logits"],
            );
          },
        });
      },
      { slow: !["f32", "q4_0"].includes(format) },
    ),
  );
}
