// A mixture as the batches of a run, each with the position behind it.

import { checkOptions, type OptionSchema, option } from "@polyllama/core";
import type { Batch } from "../trainer.ts";
import type { MixturePart } from "./mixture.ts";
import { createSequences, type SequencesOptions, type SequencesPosition, sequencesOptionTypes } from "./sequences.ts";

/** Options of {@link mixtureBatches}; the others are those of `createSequences`. */
export interface MixtureBatchesOptions extends Omit<SequencesOptions, "position"> {
  /** Sequences of a batch. */
  readonly sequences: number;
  /** Sequences that are computed at once. Default: all of a batch. */
  readonly microBatch?: number;
}

/** Batches without end, from any position on. */
export interface MixtureBatches {
  /** Another one where the same position would mean other batches. */
  readonly fingerprint: string;
  /**
   * Batches in their order.
   *
   * @param position What came with a batch before; undefined: from the beginning.
   * @throws {OptionError} for a position of other data; what `Sequences.next` throws.
   */
  batches(position: unknown): AsyncGenerator<{ readonly batch: Batch; readonly position: SequencesPosition }, never>;
  /** How often each source was gone through at a position, by its tokens. @throws {OptionError} as `batches` does. */
  epochs(position: unknown): Readonly<Record<string, number>>;
}

const { position: _, ...types } = sequencesOptionTypes;
const mixtureBatchesOptionTypes: OptionSchema<MixtureBatchesOptions> = {
  ...types,
  sequences: { ...option.integer({ least: 1 }), required: true },
  microBatch: option.integer({ least: 1 }),
};

/** Batches of packed sequences from sources with weights. @throws {OptionError} */
export function mixtureBatches(parts: readonly MixturePart[], options: MixtureBatchesOptions): MixtureBatches {
  checkOptions(options, mixtureBatchesOptionTypes, "mixtureBatches");
  const { sequences, microBatch = sequences, ...rest } = options;
  /** @param position Checked by `createSequences`. */
  const from = (position: unknown) =>
    createSequences(parts, { ...rest, ...(position !== undefined && { position: position as SequencesPosition }) });
  return {
    fingerprint: JSON.stringify([from(undefined).position.stream, sequences]),
    epochs: (position) => from(position).epochs,
    async *batches(position) {
      const stream = from(position);
      for (;;) {
        const all = await stream.next(sequences);
        const count = Math.ceil(sequences / microBatch);
        const batch = Array.from({ length: count }, (_, at) => all.slice(at * microBatch, (at + 1) * microBatch));
        yield { batch, position: stream.position };
      }
    },
  };
}
