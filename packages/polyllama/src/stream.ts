// A model's text as a stream of pieces, on a sequence.

import type { Progress, Tokenizer } from "@polyllama/core";
import { generate, type Piece, type TokenSource } from "./generation/generate.ts";
import type { LlamaGenerateOptions } from "./options.ts";
import type { Sequence } from "./sequence.ts";

/** Continues `prompt` in a sequence. Progress is that of the prompt: what is generated is seen in the pieces. */
export async function* streamPieces(
  sequence: Sequence,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  { onProgress, ...options }: Omit<LlamaGenerateOptions, "sequence">,
): AsyncGenerator<Piece, void, undefined> {
  const report: { onProgress?: (progress: Progress) => void } = onProgress ? { onProgress } : {};
  const source: TokenSource = {
    capacity: sequence.capacity,
    choose: (tokens, choice) => sequence.choose(tokens, { ...choice, ...report }),
  };
  yield* generate(source, tokenizer, prompt, options);
}

/** The one space that the format puts before an answer is not part of it. */
export async function* withoutFormatSpace(
  pieces: AsyncGenerator<Piece, void, undefined>,
): AsyncGenerator<Piece, void, undefined> {
  let started = false;
  for await (const piece of pieces) {
    const text: string = !started && piece.text.startsWith(" ") ? piece.text.slice(1) : piece.text;
    started ||= piece.text !== "";
    yield { ...piece, text };
  }
}
