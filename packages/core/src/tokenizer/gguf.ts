// The tokenizer within GGUF metadata.

import { PolyllamaError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

export function tokenizerFromGguf(_metadata: ReadonlyMap<string, unknown>, source: string): Tokenizer {
  throw new PolyllamaError("ERR_TOKENIZER", `${source}: not built yet.`);
}
