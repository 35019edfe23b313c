// Packed sequences from a mixture of sources, endless, and to be continued from any of them: what a sequence holds
// depends on the sources, the options and a small position alone, which a checkpoint keeps beside the weights.

import { checkOptions, OptionError, type OptionSchema, option, PolyllamaError } from "@polyllama/core";
import type { PackedSequence, PackOptions } from "../pack.ts";
import { type Fill, fillSequence } from "./fill-sequence.ts";
import { textHash } from "./hash.ts";
import { createMixture, type Drawn, type Mixture, type MixturePart } from "./mixture.ts";

/** Options of {@link createSequences}; `length` and `examples` are those of `packExamples`. */
export interface SequencesOptions extends PackOptions {
  /** Of the order of documents; 32 bits. */
  readonly seed: number;
  /** Where to go on. Default: at the beginning. */
  readonly position?: SequencesPosition;
}

/**
 * Where a stream of sequences stands: JSON, of which other code may know no more. A type for this reason: an interface
 * is no JSON value to the compiler.
 */
export type SequencesPosition = {
  /** Hash of sources, weights, seed and packing: a position is one of these alone. */
  readonly stream: string;
  /** Sequences so far. */
  readonly sequences: number;
  /** What was drawn of each source, by name. */
  readonly drawn: Readonly<Record<string, Drawn>>;
  /**
   * Rows of the last document that are used up, where it goes on in the next sequence, or begins it (0); null where the
   * next one begins with another document.
   */
  readonly rest: { readonly source: string; readonly row: number } | null;
};

/** A stream of sequences. */
export interface Sequences {
  /**
   * The next sequences. After an error, the stream is where it was.
   *
   * @throws {PolyllamaError} `ERR_BUSY` before the call before is done; `ERR_CONTEXT` for an example that is to stay whole
   * and is longer than a sequence; `ERR_DATA` for a document of one token; what the sources throw.
   */
  next(count: number): Promise<readonly PackedSequence[]>;
  /** After the sequences that were given. */
  readonly position: SequencesPosition;
  /** How often each source was gone through, by its tokens. */
  readonly epochs: Readonly<Record<string, number>>;
}

/** What the options take. */
export const sequencesOptionTypes: OptionSchema<SequencesOptions> = {
  length: { ...option.integer({ least: 1 }), required: true },
  examples: option.oneOf(["split", "whole"]),
  seed: { ...option.integer({ least: 0, most: 0xffffffff }), required: true },
  position: option.anyObject,
};

/** @throws {OptionError}; for a position of other sources or options, too. */
export function createSequences(parts: readonly MixturePart[], options: SequencesOptions): Sequences {
  checkOptions(options, sequencesOptionTypes, "createSequences");
  const { length, examples = "split", seed, position } = options;
  const mixture = createMixture(parts, seed);
  const stream = streamHash(mixture, [length, examples, seed]);
  const names = mixture.parts.map(({ name }) => name);
  let fill: Fill = { drawn: names.map(() => ({ documents: 0, tokens: 0 })), rest: undefined };
  if (position !== undefined) fill = restored(position, stream, mixture);
  let sequences = position?.sequences ?? 0;
  let busy = false;
  return {
    get position() {
      const { rest } = fill;
      return {
        stream,
        sequences,
        drawn: Object.fromEntries(names.map((name, part) => [name, fill.drawn[part]!])),
        rest: rest === undefined ? null : { source: names[rest.part]!, row: rest.row },
      };
    },
    get epochs() {
      return Object.fromEntries(
        mixture.parts.map(({ name, source }, part) => [name, fill.drawn[part]!.tokens / source.tokens]),
      );
    },
    async next(count) {
      if (busy) throw new PolyllamaError("ERR_BUSY", "The sequences before are not there yet; await them first.");
      busy = true;
      try {
        const packed: PackedSequence[] = [];
        let state = fill;
        while (packed.length < count) {
          const { sequence, after } = await fillSequence(mixture, state, length, examples);
          packed.push(sequence);
          state = after;
        }
        fill = state;
        sequences += packed.length;
        return packed;
      } finally {
        busy = false;
      }
    },
  };
}

/** @throws {OptionError} */
function restored(position: SequencesPosition, stream: string, { parts }: Mixture): Fill {
  const refuse = (problem: string): never => {
    const expected = "a position of the same stream";
    throw new OptionError(`${problem}. Start anew, or from an earlier position.`, {
      option: "position",
      expected,
      value: position,
    });
  };
  if (position.stream !== stream) refuse("The position is one of other sources, weights or options");
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
  const drawn = parts.map(({ name }) => position.drawn?.[name] ?? refuse(`The position says nothing of ${name}`));
  const counts = [position.sequences, ...drawn.flatMap(({ documents, tokens }) => [documents, tokens])];
  if (!counts.every(isCount)) refuse("The position is damaged");
  const { rest } = position;
  if (rest === null) return { drawn, rest: undefined };
  const part = parts.findIndex(({ name }) => name === rest?.source);
  if (!isCount(rest?.row) || !((drawn[part]?.documents ?? 0) > 0)) refuse("The position is damaged");
  return { drawn, rest: { part, row: rest.row } };
}

function streamHash({ parts }: Mixture, options: readonly unknown[]): string {
  const sources = parts.map(({ name, weight, source: { documents, tokens } }) => [name, weight, documents, tokens]);
  return textHash(JSON.stringify([sources, options]));
}
