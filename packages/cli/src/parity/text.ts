// The text that backends are compared on.

import { affordableTokens } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import type { Checkpoint } from "polyllama";
import { UsageError } from "../exit.ts";
import { plural, seconds } from "../format.ts";
import { note } from "../terminal.ts";
import type { ParityOptions } from "./options.ts";

/** Seconds that a comparison may take by default; a text of the program's own is cut to fit. */
const patience = 180;
export const defaultTokens = 64;

/** What is read when nothing is given: a tale and a poem, which any language model finds ordinary. */
const ownText =
  "Once upon a time there was a poor man who had a little daughter. Every day they went into the forest to gather wood, " +
  "and in the evening they sat by the fire and told each other stories. One day a bird came to the window and said: " +
  "Let me in, for the night is cold and the wind is strong.\n" +
  "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n";

/** Tokens of the text, or what takes their place where there is no tokenizer. */
export function chooseTokens(
  { config, tokenizer, name }: Checkpoint,
  devices: readonly Device[],
  { text, tokens: wanted, layers }: ParityOptions,
): readonly number[] {
  const { contextLength, vocabSize } = config;
  if (text !== undefined) {
    if (tokenizer === undefined) throw new UsageError(`${name} has no tokenizer for --text; give one with --tokenizer`);
    const ids = tokenizer.encode(text);
    if (ids.length === 0 || ids.length > contextLength) {
      throw new UsageError(`--text has ${plural(ids.length, "token")}; 1 to ${contextLength} are possible`);
    }
    return ids;
  }
  if (wanted !== undefined && wanted > contextLength) {
    throw new UsageError(`--tokens ${wanted} exceeds the model's context of ${contextLength}`);
  }
  const opLayers = layers === "all" ? config.layers : 3;
  const affordable = affordableTokens(config, devices, { seconds: patience, opLayers });
  const most = Math.min(defaultTokens, contextLength);
  const count = wanted ?? Math.min(most, affordable);
  if (wanted === undefined && count < most) {
    note(
      `${plural(count, "token")} instead of ${most}, as the reference would need more than ${seconds(patience)} for them; ` +
        "--tokens N takes N all the same.",
    );
  }
  const own = tokenizer?.encode(ownText) ?? Array.from({ length: count }, (_, i) => (i * 7919 + 1) % vocabSize);
  return Array.from({ length: count }, (_, i) => own[i % own.length]!);
}
