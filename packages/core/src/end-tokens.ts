// Names by which a token is known to end a text, whatever else a file says or leaves out: many fine-tunes never declare
// theirs. llama.cpp stops at these, so a checkpoint that ends there ends here.
// Source: llama.cpp, src/llama-vocab.cpp (load, "auto-detect special tokens by text" and `special_eog_ids`).

import { type Notice, shown } from "./tokenizer/assemble.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** Ends of turns and texts. */
const ends = [
  ..."<|eot_id|> <|im_end|> <|end|> <|return|> <|call|> <|flush|> <|calls|> <end_of_turn> <|endoftext|> </s> <|eom_id|>".split(
    " ",
  ),
  ..."<EOT> _<EOT> [EOT] [EOS] <|end_of_text|> <end_of_utterance> <eos> <｜end▁of▁sentence｜>".split(" "),
];

/** Padding and the borders of files, which follow a text that has ended. */
const borders = [
  ..."<|fim_pad|> <fim-pad> <fim_pad> <PAD> [PAD] <|fim_repo|> <|repo_name|> <fim-repo> <REPO> <reponame> <|file_sep|>".split(
    " ",
  ),
];

/** Names of tokens that end a text. */
export const endTokenNames: readonly string[] = [...ends, ...borders];

/** Pairs beside which `<|end|>` ends a message only, and what follows it is another of the same answer. */
const severalMessages = [
  ["<|return|>", "<|call|>"],
  ["<|calls|>", "<|flush|>"],
] as const;

/** A token at which generation ends. */
export interface EndToken {
  readonly id: number;
  /** Who says so: files and fields, such as `generation_config.json: eos_token_id`. */
  readonly from: readonly string[];
}

export interface EndCollector {
  /** Notes that a token ends a text; `undefined` and null say nothing. */
  add(id: unknown, from: string): void;
  /** All end tokens, with those that are known by name. */
  all(): readonly EndToken[];
}

/** @param notice Hears of what is no token of the tokenizer. */
export function collectEnds(tokenizer: Tokenizer | undefined, notice: Notice): EndCollector {
  const found = new Map<number, string[]>();
  const put = (id: number, from: string): void => {
    const sources = found.get(id);
    if (sources === undefined) found.set(id, [from]);
    else sources.push(from);
  };
  return {
    add(id, from) {
      if (id === undefined || id === null || tokenizer === undefined) return;
      if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize) put(id, from);
      else if (id !== -1 && id !== 0xffffffff)
        notice(`${from} is ${shown(id)}, which is no token; texts do not end there`);
    },
    all() {
      if (tokenizer !== undefined) {
        const inside = severalMessages.some((pair) => pair.every((name) => tokenizer.id(name) !== undefined));
        for (const name of endTokenNames) {
          const id = tokenizer.id(name);
          if (id !== undefined && !found.has(id) && !(inside && name === "<|end|>"))
            put(id, `its name, ${name}, at which llama.cpp stops`);
        }
      }
      return [...found].map(([id, from]) => ({ id, from })).sort((a, b) => a.id - b.id);
    },
  };
}
