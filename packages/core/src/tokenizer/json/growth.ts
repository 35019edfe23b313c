// How much longer a tokenizer may make what it is given. Real normalizers and decoders write a space as ▁ and back, or
// one character as a few; a file can ask for anything, and thirty steps that double a text make a thousand million of
// one character. Before a step makes text, what it will make is counted and held against what the tokenizer was given.

import type { JsonObject } from "./fields.ts";

/** Characters that a file may put in place of one, or in front of a text. */
const mostLiteral = 256;
/** Steps of a normalizer, pre-tokenizer or decoder, those within others included. */
const mostSteps = 256;

/** What all steps of one pipeline share. */
export interface Pipeline {
  /** Steps read so far. */
  steps: number;
  /** Longest text, in UTF-16 units, that may come of what is under way. */
  most: number;
}

export function pipeline(): Pipeline {
  return { steps: 0, most: 0 };
}

/** Longest text that may come of one of that length. NFKD makes 18 units of one (U+FDFA). */
export function mostText(length: number): number {
  return 1024 + 32 * length;
}

/** A text that a component writes. @throws {PolyllamaError} `ERR_TOKENIZER` for a long one. */
export function literal(component: JsonObject, key: string): string {
  const text = component.string(key);
  if (text.length <= mostLiteral) return text;
  return component.refuse(`writes a text of ${text.length} characters (${key}); at most ${mostLiteral} are read`);
}

/** The steps under a key. @throws {PolyllamaError} `ERR_TOKENIZER` for more than any file has. */
export function stepsOf(component: JsonObject, key: string, state: Pipeline): JsonObject[] {
  state.steps += component.list(key).length;
  if (state.steps > mostSteps) component.refuse(`has more than ${mostSteps} steps`);
  return component.objects(key);
}

/** @throws {PolyllamaError} `ERR_TOKENIZER` where a step would make a longer text than may be. */
export function checkGrowth(component: JsonObject, length: number, { most }: Pipeline): void {
  if (length <= most) return;
  component.refuse(`makes a text of ${length} characters, where at most ${most} may come of what was given`);
}

/** Every `pattern` replaced by `content`; counted before. @throws {PolyllamaError} `ERR_TOKENIZER` */
export function replaceAll(
  text: string,
  pattern: string,
  content: string,
  component: JsonObject,
  state: Pipeline,
): string {
  const longer = content.length - pattern.length;
  if (longer > 0 && text.length + Math.floor(text.length / pattern.length) * longer > state.most) {
    let found = 0;
    for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + pattern.length)) found++;
    checkGrowth(component, text.length + found * longer, state);
  }
  return text.replaceAll(pattern, () => content);
}
