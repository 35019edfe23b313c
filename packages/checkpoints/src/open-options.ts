// What may be asked of opening a checkpoint.

import { type OptionSchema, option, PolyllamaError, type Progress } from "@polyllama/core";
import { type HubOptions, hubOptionTypes } from "./hub/options.ts";
import { type TokenizerLocation, tokenizerLocation } from "./location.ts";

/** Options of `openCheckpoint`. */
export interface OpenOptions {
  /** The tokenizer's file, in place of the checkpoint's own. */
  readonly tokenizer?: TokenizerLocation;
  /**
   * Download what a URL names into the browser's own storage, and read it from there now and at every later load;
   * default false: weights are read from the server by range requests.
   */
  readonly keep?: boolean;
  /**
   * Read what a URL names whole into memory, for servers without range requests; default false. In a page `keep` does
   * without the memory.
   */
  readonly inMemory?: boolean;
  /**
   * SHA-256 in hexadecimal that the file with the weights must have; needs `keep`, as the whole file is read for it.
   */
  readonly sha256?: string;
  /**
   * Names of tensors to leave out that Llama does not have and that would be refused, such as an adapter that was
   * merged already; `*` stands for any characters. The checkpoint's `notices` name them.
   */
  readonly ignoreTensors?: readonly string[];
  /** Leave out rows without a token and tokens without a row, whatever their number; default false. */
  readonly fitVocabulary?: boolean;
  /** How the hub is reached; for `hf:` addresses only. */
  readonly hub?: HubOptions;
  /** Files opened so far, or bytes fetched. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What each option of {@link OpenOptions} takes. */
export const openOptionTypes: OptionSchema<OpenOptions> = {
  tokenizer: tokenizerLocation,
  keep: option.boolean,
  inMemory: option.boolean,
  sha256: option.string,
  fitVocabulary: option.boolean,
  ignoreTensors: option.list(option.string, 'a list of names, such as ["*.lora_*"]'),
  hub: option.object(hubOptionTypes),
  onProgress: option.function,
  signal: option.signal,
};

/** Refuses options that would do nothing where the checkpoint is. @throws {PolyllamaError} `ERR_OPTION` */
export function checkApplies(
  { keep, inMemory, sha256, hub }: OpenOptions,
  where: { readonly isUrl: boolean; readonly isOnHub: boolean },
): void {
  if (hub !== undefined && !where.isOnHub) {
    throw new PolyllamaError("ERR_OPTION", "hub is for checkpoints on the hub: hf:owner/name[:file][@revision].");
  }
  if (where.isUrl) return;
  for (const [name, isGiven] of Object.entries({ keep, inMemory, sha256: sha256 !== undefined })) {
    if (isGiven !== true) continue;
    throw new PolyllamaError("ERR_OPTION", `${name} is for checkpoints behind a URL; what this names is here already.`);
  }
}
