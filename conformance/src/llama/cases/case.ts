// A case of the Llama suite: it throws when a rule is broken.

import type { LlamaSubject } from "../subject.ts";

export interface LlamaCase {
  readonly name: string;
  run(subject: LlamaSubject): Promise<void>;
}

/** A conversation's or text's seed, where nothing depends on which. */
export const seed = 20_231;
