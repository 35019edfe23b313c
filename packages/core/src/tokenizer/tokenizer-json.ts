// Hugging Face's tokenizer.json.

import { PolyllamaError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

export function tokenizerFromJson(_json: unknown, source: string, _tokenizerConfig?: unknown): Tokenizer {
  throw new PolyllamaError("ERR_TOKENIZER", `${source}: not built yet.`);
}
