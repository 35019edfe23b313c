// Sequences on a device, step by step. Whatever a step gives is held against the reference's values of the rows, and
// against the bits of a twin: the same sequence, advanced by the same rows, alone in its step.

import type { Tensor } from "@polyllama/core";
import type { CachePool, LoadedGraph, SequenceCache, SequenceRows, Wanted } from "@polyllama/core/device";
import { at, both, exact, type Finding, wrong } from "../comparison/measure.ts";
import { equalBits, measureTolerance, toleranceRows } from "../comparison/tolerance.ts";
import type { Text } from "./truth.ts";

/** A text that is being read; the length of its cache says how far. */
export interface Sequence {
  readonly text: Text;
  readonly cache: SequenceCache;
  /** Advanced alone. */
  readonly twin: SequenceCache | undefined;
}

/** A sequence's part of a step. */
export interface Part {
  readonly sequence: Sequence;
  readonly rows: number;
}

/** Where sequences lie, and whether they have twins. */
export interface PlayOptions {
  /** Positions of a sequence. */
  readonly capacity: number;
  /** Twins have pools of their own. */
  readonly twins?: boolean;
  /** Sequences of the pool that all share; 0: each text that is opened has a pool of its own. */
  readonly sequences?: number;
}

const lastLogits: Wanted = { value: "logits", rows: "last" };

/** Plays sequences on a graph; {@link finding} says what came of it. */
export class Play {
  readonly #loaded: LoadedGraph;
  readonly #options: PlayOptions;
  readonly #shared: CachePool | undefined;
  #finding = exact;

  constructor(loaded: LoadedGraph, options: PlayOptions) {
    const { capacity, sequences = 0 } = options;
    this.#loaded = loaded;
    this.#options = options;
    this.#shared = sequences > 0 ? loaded.pool(capacity, { sequences }) : undefined;
  }

  get finding(): Finding {
    return this.#finding;
  }

  /**
   * @param room Sequences that a pool of its own has room for: itself, its forks, and copies for when several write at
   * once.
   */
  open(text: Text, room = 1): Sequence {
    const { capacity, twins = false } = this.#options;
    const own = (): CachePool => this.#loaded.pool(capacity, { sequences: room });
    return { text, cache: (this.#shared ?? own()).open(), twin: twins ? own().open() : undefined };
  }

  fork({ text, cache, twin }: Sequence): Sequence {
    return { text, cache: cache.fork(), twin: twin?.fork() };
  }

  rewind({ cache, twin }: Sequence, length: number): void {
    cache.truncate(length);
    twin?.truncate(length);
  }

  /** Advances sequences together. @param name What the step is, for findings. */
  async step(name: string, parts: readonly Part[], wanted: readonly Wanted[] = [lastLogits]): Promise<void> {
    const starts = parts.map(({ sequence }) => sequence.cache.length);
    const tensors = await this.#run(parts, (sequence) => sequence.cache, starts, wanted);
    let before = 0;
    for (const [number, part] of parts.entries()) {
      const { sequence, rows } = part;
      const where = `${name}: sequence ${number} of ${parts.length}, ${rows} rows from position ${starts[number]} on`;
      const own = tensors.map((tensor, entry) => {
        const all = typeof wanted[entry] === "string";
        return slice(tensor, all ? before : number, all ? rows : 1);
      });
      // it has one
      const alone = sequence.twin && (await this.#run([part], ({ twin }) => twin!, [starts[number]!], wanted));
      for (const [entry, tensor] of own.entries()) {
        const asked = wanted[entry]!;
        this.#check(`${where}, ${show(asked)}`, sequence.text, starts[number]!, rows, asked, tensor);
        if (alone !== undefined && !equalBits(tensor.data, alone[entry]!.data)) {
          this.#note(`${where}, ${show(asked)}`, wrong("other bits than alone"));
        }
      }
      before += rows;
    }
  }

  /** Rows of a text from its beginning, without a cache. */
  async apart(name: string, text: Text, rows: number, wanted: readonly Wanted[]): Promise<void> {
    const tensors = await this.#loaded.run({ inputs: { tokens: text.tokens.subarray(0, rows) } }, wanted);
    for (const [entry, tensor] of tensors.entries()) this.#check(name, text, 0, rows, wanted[entry]!, tensor);
  }

  #run(
    parts: readonly Part[],
    cacheOf: (sequence: Sequence) => SequenceCache,
    starts: readonly number[],
    wanted: readonly Wanted[],
  ): Promise<readonly Tensor[]> {
    const tokens = parts.flatMap(({ sequence, rows }, i) => [
      ...sequence.text.tokens.subarray(starts[i]!, starts[i]! + rows),
    ]);
    const sequences = parts.map(({ sequence, rows }): SequenceRows => ({ rows, cache: cacheOf(sequence) }));
    return this.#loaded.run({ inputs: { tokens: Int32Array.from(tokens) }, sequences }, wanted);
  }

  #check(where: string, text: Text, start: number, rows: number, asked: Wanted, tensor: Tensor): void {
    const value = typeof asked === "string" ? asked : asked.value;
    const tolerance = text.values.get(value);
    if (tolerance === undefined) throw new Error(`the case asks for ${value}, which the reference was not asked for`);
    const [first, count] = typeof asked === "string" ? [start, rows] : [start + rows - 1, 1];
    const hidden = Math.max(0, text.first - first); // rows that only filled the reference's cache
    if (hidden >= count) throw new Error(`the case asks for rows that the reference was not asked for: ${where}`);
    const known = toleranceRows(tolerance, first + hidden - text.first, count - hidden);
    this.#note(where, measureTolerance(slice(tensor, hidden, count - hidden), known));
  }

  #note(where: string, finding: Finding): void {
    this.#finding = both(this.#finding, at(where, finding));
  }
}

function slice({ shape: [, width], data }: Tensor, first: number, count: number): Tensor {
  return { shape: [count, width], data: data.subarray(first * width, (first + count) * width) };
}

function show(wanted: Wanted): string {
  return typeof wanted === "string" ? wanted : `last row of ${wanted.value}`;
}
