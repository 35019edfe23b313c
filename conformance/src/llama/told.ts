// What the model `told` says: after a start token one text, token by token, so that a case can name the text that it
// expects.

import { token } from "./vocabulary.ts";

const byte = (value: number): number => token.firstByte + value;

/** A text begins behind its start token, a byte. Numbers are ids, strings pieces. */
export type ToldText = "letters" | "bytes" | "spelled" | "spaced";

const texts: Readonly<Record<ToldText, readonly (number | string)[]>> = {
  letters: ["ab", "cd", "ef", token.eos, "gh", token.end, "ij", token.stop, "kl", token.shown, "mn", "op"],
  bytes: ["x", byte(0xc3), byte(0xa9), "y", byte(0xe6), token.unknown, "z"],
  spelled: ["▁q", "<|", "end", "|>", "r", "▁s"],
  spaced: [token.bos, "▁▁t", "u", "▁v"],
};

/** "spaced" follows the last character of Llama 2's chat format. */
const starts: Readonly<Record<ToldText, number>> = { letters: 0, bytes: 1, spelled: 2, spaced: 0x5d };

const names = Object.keys(texts) as ToldText[]; // its own keys
const pieces: readonly string[] = names.flatMap((name) => texts[name].filter((entry) => typeof entry === "string"));
const idOf = (entry: number | string): number =>
  typeof entry === "number" ? entry : token.shown + 1 + pieces.indexOf(entry);

/** The prompt that a text follows. */
export function promptOf(name: ToldText): readonly number[] {
  return [token.bos, byte(starts[name])];
}

export const chains: { readonly pieces: readonly string[]; readonly next: ReadonlyMap<number, number> } = {
  pieces,
  next: new Map(
    names.flatMap((name) => {
      const ids = [promptOf(name)[1]!, ...texts[name].map(idOf)];
      return ids.slice(1).map((id, i): [number, number] => [ids[i]!, id]);
    }),
  ),
};
