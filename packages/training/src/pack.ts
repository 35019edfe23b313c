// Examples of any length as sequences of one length, so that no row of a step is padding. What lies together in a sequence
// does not see each other: each example, or part of one, is a sequence of the step by itself, without a cache and from
// position 0, so that attention is within it and its loss is what it would be alone.
//
// A row predicts the next token. The last token of an example predicts nothing and is no row.

import { ContextOverflowError, checkOptions, type OptionSchema, option } from "@polyllama/core";
import { checkExample, type Example } from "./example.ts";

/** Rows of several examples, T in all. */
export interface PackedSequence {
  /** [T] */
  readonly tokens: Int32Array;
  /** The token that each row predicts [T]; -1 where that does not count. */
  readonly targets: Int32Array;
  /** What each row weighs in the loss [T]; 0 where the target is -1. */
  readonly weights: Float64Array;
  /** Rows of each example or part of one, in order; T in all. */
  readonly rows: readonly number[];
}

/** Options of {@link packExamples}. */
export interface PackOptions {
  /** Rows of a sequence. */
  readonly length: number;
  /**
   * `split`: sequences are full but for the last one, and an example that goes beyond the end of one continues in the
   * next, from position 0 and without what came before: for documents. `whole`: an example that has no room left begins
   * the next sequence: for dialogues, whose answers need their questions. Default `split`.
   */
  readonly examples?: "split" | "whole";
}

const packOptionTypes: OptionSchema<PackOptions> = {
  length: { ...option.integer({ least: 1 }), required: true },
  examples: option.oneOf(["split", "whole"]),
};

/** Rows of an example that lie together in a sequence. */
interface Part {
  readonly example: Example;
  readonly first: number;
  readonly rows: number;
}

/**
 * Packs examples in their order, one sequence at a time.
 *
 * @throws {OptionError}; `ContextOverflowError` for an example that is to stay whole and is longer than a sequence.
 */
export function* packExamples(
  examples: Iterable<Example>,
  options: PackOptions,
): Generator<PackedSequence, void, undefined> {
  checkOptions(options, packOptionTypes, "packExamples");
  const { length, examples: manner = "split" } = options;
  let parts: Part[] = [];
  let room = length;
  let index = 0;
  for (const example of examples) {
    checkExample(example, index++);
    const all = example.ids.length - 1;
    if (manner === "whole") {
      if (all > length) throw new ContextOverflowError(all, length, `Shorten example ${index - 1}, or leave it out.`);
      if (all > room) {
        yield join(parts);
        [parts, room] = [[], length];
      }
    }
    for (let first = 0; first < all; ) {
      const rows = Math.min(room, all - first);
      parts.push({ example, first, rows });
      first += rows;
      room -= rows;
      if (room > 0) continue;
      yield join(parts);
      [parts, room] = [[], length];
    }
  }
  if (parts.length > 0) yield join(parts);
}

function join(parts: readonly Part[]): PackedSequence {
  const tokens = parts.flatMap(({ example, first, rows }) => example.ids.slice(first, first + rows));
  const next = parts.flatMap(({ example, first, rows }) => example.ids.slice(first + 1, first + 1 + rows));
  const counts = parts.flatMap(({ example, first, rows }) => example.counts.slice(first + 1, first + 1 + rows));
  return {
    tokens: Int32Array.from(tokens),
    targets: Int32Array.from(next, (id, row) => (counts[row] === 0 ? -1 : id)),
    weights: Float64Array.from(counts),
    rows: parts.map(({ rows }) => rows),
  };
}
