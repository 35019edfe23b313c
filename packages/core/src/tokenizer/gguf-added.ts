// Added tokens as Hugging Face's layout declares them, in a key of GGUF that is read here alone: GGUF's own kinds of
// tokens have no place for the flags by which white space beside a name is taken along, or a name within a word is left
// alone. The value is the text of an object in JSON, in the form of `added_tokens_decoder`.

import { parseJson } from "../json-text.ts";
import { type AddedToken, checkTokenCount, readAddedTokenFlags } from "./json/added-tokens.ts";
import { type JsonObject, jsonObject } from "./json/fields.ts";

const key = "tokenizer.huggingface.added_tokens";

/** The object; undefined where the file has none. @throws {PolyllamaError} `ERR_TOKENIZER` */
export function addedTokensOf(metadata: ReadonlyMap<string, unknown>, source: string): JsonObject | undefined {
  const text = metadata.get(key);
  if (text === undefined) return undefined;
  const decoder = jsonObject(parseJson(String(text), `${source}: ${key}`), key, source);
  checkTokenCount(decoder, decoder.keys().length);
  return decoder;
}

/** A token with the flags that are declared for it. */
export function withFlags(token: AddedToken, decoder: JsonObject | undefined): AddedToken {
  if (decoder?.get(String(token.id)) === undefined) return token;
  const { lstrip, rstrip, singleWord } = readAddedTokenFlags(decoder.object(String(token.id)), token.id);
  return { ...token, lstrip, rstrip, singleWord };
}
