// Following a stream of tokens: text as it comes, and how fast it came.

import type { Piece } from "polyllama";
import { Exit } from "./exit.ts";
import { plural, speed } from "./format.ts";

export interface Timings {
  /** Tokens that were read: of a conversation's next turn, the new ones alone. */
  readonly promptTokens: number;
  /** From the call to the first token. */
  readonly promptSeconds: number;
  readonly generatedTokens: number;
  /** From the first token to the last. */
  readonly generateSeconds: number;
  /** Of the tokens after the first, which comes out of reading the prompt; null when there are none. */
  readonly tokensPerSecond: number | null;
}

/** What a stream gave, whole or until it was stopped. */
export interface Streamed {
  readonly pieces: readonly Piece[];
  readonly text: string;
  readonly finish: NonNullable<Piece["finish"]> | "interrupted";
  /** Why it was interrupted. */
  readonly exit: Exit | undefined;
  readonly timings: Timings;
}

/**
 * Reads a stream to its end. Interrupted, it returns what there was so far.
 *
 * @param promptTokens How many tokens were read before the first came out; asked at the end.
 * @param write Receives every piece of text, the empty ones included.
 */
export async function follow(
  stream: AsyncIterable<Piece>,
  promptTokens: () => number,
  write: (text: string) => void,
): Promise<Streamed> {
  const started = performance.now();
  let first = started;
  let last = started;
  let text = "";
  let finish: Streamed["finish"] = "interrupted";
  let exit: Exit | undefined;
  const pieces: Piece[] = [];
  try {
    for await (const piece of stream) {
      last = performance.now();
      if (pieces.length === 0) first = last;
      pieces.push(piece);
      text += piece.text;
      write(piece.text);
      finish = piece.finish ?? finish;
    }
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    exit = error;
  }
  const generateSeconds = (last - first) / 1000;
  const timings: Timings = {
    promptTokens: promptTokens(),
    promptSeconds: ((pieces.length === 0 ? performance.now() : first) - started) / 1000,
    generatedTokens: pieces.length,
    generateSeconds,
    tokensPerSecond: pieces.length > 1 && generateSeconds > 0 ? (pieces.length - 1) / generateSeconds : null,
  };
  return { pieces, text, finish, exit, timings };
}

/** One line about a stream. */
export function summary({ finish, timings }: Streamed, more: readonly string[] = []): string {
  const { promptTokens, promptSeconds, generatedTokens, tokensPerSecond } = timings;
  const prompt = `prompt ${plural(promptTokens, "token")}, ${speed(promptTokens / promptSeconds)}`;
  const generation = tokensPerSecond === null ? "" : `, ${speed(tokensPerSecond)}`;
  const generated = `generated ${plural(generatedTokens, "token")}${generation}`;
  return [prompt, generated, endings[finish], ...more].join(" | ");
}

const endings: Readonly<Record<Streamed["finish"], string>> = {
  eos: "the text is complete",
  stop: "a stop text or token was met",
  length: "--max-tokens reached",
  context: "the context is full",
  interrupted: "interrupted",
};
