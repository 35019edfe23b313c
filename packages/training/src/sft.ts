// Supervised fine-tuning (Llama 2, section 3.1): a dialogue in the model's chat format, with a loss on the tokens of
// answers alone. A dialogue is one example: its later answers see its earlier turns.

import {
  type ChatFormatOptions,
  type ChatMessage,
  type EncodedExchange,
  encodeExchanges,
  PolyllamaError,
  type Tokenizer,
} from "@polyllama/core";
import { DataError, type DataPlace } from "./dialogues/data-error.ts";
import type { Example } from "./example.ts";

/** A dialogue to train on, in which the assistant has the last word. */
export interface TrainingDialogue {
  readonly messages: readonly ChatMessage[];
  /** Which answers count in the loss. Default `all`. */
  readonly answers?: "all" | "last";
  /** Where it stands, for errors. */
  readonly place?: DataPlace;
}

/**
 * A dialogue as tokens, those that generation sees: for each pair of turns BOS, the user's turn, the answer, EOS. The
 * answer and its EOS count; a token that belongs to question and answer at once counts as the answer's.
 *
 * @throws {PolyllamaError} `ERR_CHAT` as `encodeExchanges` does; with a place as `DataError`.
 */
export function encodeDialogue(
  tokenizer: Tokenizer,
  dialogue: TrainingDialogue,
  options: ChatFormatOptions = {},
): Example {
  const { answers = "all" } = dialogue;
  const exchanges = encoded(tokenizer, dialogue, options);
  const counts = exchanges.flatMap(({ prompt, ids }, index) => {
    const counted = answers === "all" || index === exchanges.length - 1;
    const answer = commonLength(prompt, ids);
    return ids.map((_, at) => (counted && at >= answer ? 1 : 0));
  });
  return { ids: exchanges.flatMap(({ ids }) => ids), counts };
}

function encoded(
  tokenizer: Tokenizer,
  { messages, place }: TrainingDialogue,
  options: ChatFormatOptions,
): readonly EncodedExchange[] {
  try {
    return encodeExchanges(tokenizer, messages, options);
  } catch (error) {
    if (place === undefined || !(error instanceof PolyllamaError) || error.code !== "ERR_CHAT") throw error;
    throw new DataError(place, undefined, error.message.replace(/\.$/, ""), { cause: error });
  }
}

/** How many tokens two lists begin with in common. */
function commonLength(a: readonly number[], b: readonly number[]): number {
  const end = a.findIndex((id, at) => id !== b[at]);
  return end < 0 ? a.length : end;
}
