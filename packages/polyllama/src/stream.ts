// A model's text as a stream of pieces, on a sequence.

import { type GenerateOptions, generate, type Piece, type Progress, type Tokenizer } from "@polyllama/core";
import type { LlamaGenerateOptions } from "./options.ts";
import type { Sequence } from "./sequence.ts";

/** Continues `prompt` in a sequence. Progress is that of the prompt: what is generated is seen in the pieces. */
export async function* streamPieces(
  sequence: Sequence,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  { sequence: _, onProgress, ...options }: LlamaGenerateOptions,
): AsyncGenerator<Piece, void, undefined> {
  let isPrompt = true;
  const reading = (signal: AbortSignal | undefined) => {
    const report: { onProgress?: (progress: Progress) => void } = isPrompt && onProgress ? { onProgress } : {};
    isPrompt = false;
    return { ...(signal && { signal }), ...report };
  };
  const settings: GenerateOptions = options;
  yield* generate(
    {
      tokens: sequence.tokens,
      capacity: sequence.capacity,
      continueTo: (tokens, signal) => sequence.continueTo(tokens, reading(signal)),
      ...(sequence.samples && {
        sample: (tokens, sampling, count, signal) => sequence.sample(tokens, sampling, count, reading(signal)),
      }),
    },
    tokenizer,
    prompt,
    settings,
  );
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
