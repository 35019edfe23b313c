// What opening a checkpoint works with.

import type { Progress } from "@polyllama/core";
import type { Files } from "../files.ts";
import type { ByteSource } from "../sources/byte-source.ts";
import type { FoundTokenizer } from "../text-files.ts";

export interface Opening {
  readonly files: Files;
  /** A file with weights; undefined where there is none. It is closed with the checkpoint, or when opening fails. */
  open(name: string): Promise<ByteSource | undefined>;
  /** Reads the tokenizer that takes the place of the checkpoint's own. */
  readonly tokenizer: ((vocabSize: number) => Promise<FoundTokenizer>) | undefined;
  readonly ignoreTensors: readonly string[] | undefined;
  readonly fitVocabulary: boolean | undefined;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}
