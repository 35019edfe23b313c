// What is fuzzed: one parser, with sound files to start from.

import type { Meter, Pieces } from "./pieces.ts";
import type { Random } from "./random.ts";

export interface Target {
  readonly name: string;
  /** Files that must be read. */
  readonly sound: readonly Pieces[];
  /** A spoiled file. */
  make(random: Random): Pieces;
  /** Reads a file as far as users would. */
  run(input: Pieces, meter: Meter): Promise<void>;
}
