// What a generation is, over anything that gives logits: tokens one by one, the whole text so far each time anew, until
// a rule ends it.

import type { TokenLogprob } from "@polyllama/core";
import type { FinishReason, GenerateOptions, Piece } from "polyllama";
import { choose, probabilities } from "./choice.ts";
import type { Model } from "./models.ts";
import { firstOf, openFrom, textOf } from "./text.ts";

/** Logits [V] for the token that follows. */
export type Logits = (tokens: readonly number[]) => Promise<ArrayLike<number>>;

/** One token of a generation, as it must be. */
export interface DefinedPiece {
  readonly id: number;
  /** All text up to here that is certain. */
  readonly text: string;
  readonly finish: FinishReason | undefined;
  /** All tokens by probability; where it was asked for. */
  readonly logprobs: readonly TokenLogprob[] | undefined;
}

export type DefinedOptions = Omit<GenerateOptions, "seed" | "signal"> & { readonly seed: number };

/** @param capacity Most tokens that the sequence holds. */
export async function defineGeneration(
  logits: Logits,
  { vocabulary, ends }: Pick<Model, "vocabulary" | "ends">,
  prompt: readonly number[],
  options: DefinedOptions,
  capacity: number,
): Promise<readonly DefinedPiece[]> {
  const stops = [options.stop ?? []].flat().filter((stop) => stop !== "");
  const idNamed = (name: string): number => vocabulary.findIndex(({ piece }) => piece === name);
  const named = stops.map(idNamed).filter((id) => id >= 0 && vocabulary[id]!.kind === "control");
  const stopTokens = (options.stopTokens ?? []).map((token) => (typeof token === "string" ? idNamed(token) : token));
  const endTokens = options.ignoreEos === true ? [] : (options.ends ?? ends);

  const pieces: DefinedPiece[] = [];
  const ids: number[] = [];
  for (;;) {
    const tokens = [...prompt, ...ids];
    const row = await logits(tokens); // [V]
    const id = choose(row, tokens, prompt.length, options);
    const shown = textOf(vocabulary, prompt, ids, false); // without this token
    ids.push(id);
    const whole = textOf(vocabulary, prompt, ids, false);
    const certain = textOf(vocabulary, prompt, ids, true);
    const met = firstOf(certain, stops);

    let ended: { readonly text: string; readonly finish: FinishReason } | undefined;
    if (endTokens.includes(id)) ended = { text: shown, finish: "eos" };
    else if (named.includes(id)) ended = { text: shown + vocabulary[id]!.piece, finish: "stop" };
    else if (stopTokens.includes(id)) ended = { text: shown, finish: "stop" };
    else if (met !== undefined && met <= openFrom(certain, stops)) ended = { text: certain, finish: "stop" };
    else if (ids.length === options.maxTokens) ended = { text: whole, finish: "length" };
    else if (prompt.length + ids.length > capacity) ended = { text: whole, finish: "context" };

    const logprobs = options.logprobs === undefined ? undefined : probabilities(row);
    if (ended === undefined) {
      pieces.push({ id, text: certain.slice(0, openFrom(certain, stops)), finish: undefined, logprobs });
      continue;
    }
    const at = firstOf(ended.text, stops);
    const finish = at === undefined ? ended.finish : "stop";
    return [...pieces, { id, text: ended.text.slice(0, at), finish, logprobs }];
  }
}

/** The first difference between what came and what is defined. */
export function difference(actual: readonly Piece[], defined: readonly DefinedPiece[]): string | undefined {
  let text = "";
  for (const [i, expected] of defined.entries()) {
    const piece = actual[i];
    if (piece === undefined) return `it ends before token ${i}`;
    text += piece.text;
    const found = [piece.id, text, piece.finish];
    const wanted = [expected.id, expected.text, expected.finish];
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      return `token ${i} of ${defined.length} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`;
    }
  }
  return actual.length > defined.length ? `it goes on after token ${defined.length - 1}` : undefined;
}
