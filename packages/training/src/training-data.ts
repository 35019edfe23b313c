// What a run reads: batches from any place on, each with the place behind it, so that a run that was cut off goes on with
// the very next sample. And the simplest such data, examples in memory.

import { checkOptions, OptionError, type OptionSchema, option } from "@polyllama/core";
import type { Example } from "./example.ts";
import { type PackedSequence, packExamples } from "./pack.ts";
import { joinSeeds, shuffled } from "./random.ts";
import type { Batch } from "./trainer.ts";

/** What JSON can say. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** A batch, and where the data goes on behind it. */
export interface PlacedBatch {
  readonly batch: Batch;
  readonly position: JsonValue;
}

/** Batches of a run. */
export interface TrainingData {
  /** Another one where the same position would mean other batches. */
  readonly fingerprint: string;
  /**
   * Batches in their order, without end or to the last one.
   *
   * @param position What came with a batch before; undefined: from the beginning.
   */
  batches(position: JsonValue | undefined): AsyncIterable<PlacedBatch> | Iterable<PlacedBatch>;
}

/** Options of {@link shuffledExamples}. */
export interface ShuffledOptions {
  /** Tokens of a sequence. */
  readonly length: number;
  /** As `packExamples` has it: whether an example may continue in the next sequence. Default `split`. */
  readonly examples?: "split" | "whole";
  /** Sequences of a batch; the last one of an epoch may have fewer. */
  readonly sequences: number;
  /** Sequences that are computed at once; default: all of a batch. */
  readonly microBatch?: number;
  readonly seed: number;
  /** Default: without end. */
  readonly epochs?: number;
}

const shuffledOptionTypes: OptionSchema<ShuffledOptions> = {
  length: { ...option.integer({ least: 1 }), required: true },
  examples: option.oneOf(["split", "whole"]),
  sequences: { ...option.integer({ least: 1 }), required: true },
  microBatch: option.integer({ least: 1 }),
  seed: { ...option.integer({ least: 0 }), required: true },
  epochs: option.integer({ least: 1 }),
};

/** Data of examples in memory, with what is known of its size. */
export interface ShuffledExamples extends TrainingData {
  /** Batches of the first epoch; others may differ by a few, as examples fill sequences in another order. */
  readonly batchesInEpoch: number;
}

/**
 * Examples in an order of their own in each epoch, packed and cut into batches.
 *
 * @throws {OptionError}, also for no examples; what `packExamples` throws.
 */
export function shuffledExamples(examples: readonly Example[], options: ShuffledOptions): ShuffledExamples {
  checkOptions(options, shuffledOptionTypes, "shuffledExamples");
  const { length, examples: manner = "split", sequences, microBatch = sequences, seed } = options;
  const { epochs = Number.POSITIVE_INFINITY } = options;
  if (examples.length === 0) {
    const expected = "one example or more";
    throw new OptionError(`There is nothing to train on; give ${expected}.`, {
      option: "examples",
      expected,
      value: examples,
    });
  }
  const batchesOf = (epoch: number): readonly (readonly PackedSequence[])[] => {
    const order = shuffled(examples.length, joinSeeds(seed, epoch));
    const inOrder = [...order].map((index) => examples[index]!); // a permutation of them
    return groups([...packExamples(inOrder, { length, examples: manner })], sequences);
  };
  const total = examples.reduce((sum, { ids }) => sum + ids.length, 0);
  return {
    fingerprint: JSON.stringify({ examples: examples.length, tokens: total, length, manner, sequences, seed }),
    batchesInEpoch: batchesOf(0).length,
    *batches(position) {
      const from = position === undefined ? { epoch: 0, batches: 0 } : readPosition(position);
      for (let { epoch, batches: first } = from; epoch < epochs; epoch++, first = 0) {
        for (const [index, batch] of batchesOf(epoch).entries()) {
          if (index >= first) yield { batch: groups(batch, microBatch), position: { epoch, batches: index + 1 } };
        }
      }
    },
  };
}

function readPosition(position: JsonValue): { readonly epoch: number; readonly batches: number } {
  const { epoch, batches } = (position ?? {}) as { readonly epoch?: unknown; readonly batches?: unknown };
  if (Number.isSafeInteger(epoch) && Number.isSafeInteger(batches))
    return { epoch: Number(epoch), batches: Number(batches) };
  const expected = "what came with a batch";
  throw new OptionError(`position must be ${expected}, not ${JSON.stringify(position)}.`, {
    option: "position",
    expected,
    value: position,
  });
}

function groups<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}
