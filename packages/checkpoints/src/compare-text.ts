// What two checkpoints mean to text, side by side: pieces and ids, BOS and EOS, what ends a text, the chat template,
// the sampling that is offered. Meaning counts, not where a file says it: pieces that only fill a table up to a round
// number are none.

import type { TextSetup, Tokenizer } from "@polyllama/core";
import type { Checkpoint } from "./checkpoint.ts";

/** A statement about text in which two checkpoints differ. */
export interface TextDifference {
  /** A field of the tokenizer or of {@link TextSetup}, such as `ends`, or `token 17`, or `ids of "..."`. */
  readonly field: string;
  /** What the first and the second one say; undefined where one says nothing. */
  readonly values: readonly [unknown, unknown];
  /**
   * Of chat templates, where that was tried: whether conversations come out alike, so that nothing but their text
   * differs.
   */
  readonly rendersAlike?: boolean;
}

/** Texts that tell vocabularies and their preparation of text apart: scripts, spaces, digits, symbols, code. */
const samples = [
  "Once upon a time, there was a little girl named Lily.",
  "  two spaces,\ttab\nline 1234567890 3.14 (x) => {y[0]};",
  "床前明月光，疑是地上霜。",
  "Ünïcödé ﬁ ① ｆｕｌｌ Привет 안녕 \u{1f999}",
];

/** Everything in which they differ; of tokens and of texts the first one. */
export function compareText(a: Checkpoint, b: Checkpoint): readonly TextDifference[] {
  const [first, second] = [a.tokenizer, b.tokenizer];
  if (first === undefined || second === undefined) {
    return first === second ? [] : [{ field: "tokenizer", values: [said(first), said(second)] }];
  }
  const fields = [...fieldsOf(a.text, first)].map(([field, value], i) => {
    return { field, values: [value, fieldsOf(b.text, second)[i]![1]] as const }; // the same fields in the same order
  });
  return [
    ...[...fields, ...templateFields(a.text, b.text)].filter(({ values: [one, other] }) => shown(one) !== shown(other)),
    ...tokenDifference(first, second),
    ...idsDifference(first, second),
  ];
}

/** The chat templates that either one has. */
function templateFields(a: TextSetup, b: TextSetup): readonly TextDifference[] {
  const named = [a, b].map(({ namedTemplates }) => new Map(namedTemplates.map(({ name, jinja }) => [name, jinja])));
  const names = [...new Set(named.flatMap((templates) => [...templates.keys()]))].sort();
  return [
    { field: "chatTemplate", values: [a.chatTemplate?.jinja, b.chatTemplate?.jinja] },
    ...names.map((name) => ({
      field: `chatTemplate ${JSON.stringify(name)}`,
      values: [named[0]?.get(name), named[1]?.get(name)] as const,
    })),
  ];
}

function said(tokenizer: Tokenizer | undefined): unknown {
  return tokenizer === undefined ? undefined : `one of ${tokenizer.vocabSize} tokens`;
}

function fieldsOf(text: TextSetup, tokenizer: Tokenizer): readonly (readonly [string, unknown])[] {
  const { temperature, topK, topP, minP, repetitionPenalty } = text.sampling;
  const ends = text.ends.map(({ id }) => id).sort((a, b) => a - b);
  return [
    ["vocabSize", tokenizer.vocabSize],
    ["bos", tokenizer.bos],
    ["eos", tokenizer.eos],
    ["addBos", text.addBos],
    ["addEos", text.addEos],
    ["ends", ends],
    ...Object.entries({ temperature, topK, topP, minP, repetitionPenalty }).map(
      ([name, value]) => [`sampling.${name}`, value === undefined ? undefined : Math.fround(value)] as const,
    ),
  ];
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? "none";
}

function tokenDifference(a: Tokenizer, b: Tokenizer): readonly TextDifference[] {
  for (let id = 0; id < Math.min(a.vocabSize, b.vocabSize); id++) {
    const values = [describe(a, id), describe(b, id)] as const;
    if (values[0] !== values[1]) return [{ field: `token ${id}`, values }];
  }
  return [];
}

function describe(tokenizer: Tokenizer, id: number): string {
  return `${JSON.stringify(tokenizer.piece(id))}${tokenizer.kind(id) === "normal" ? "" : ` (${tokenizer.kind(id)})`}`;
}

/** A text that two tokenizers cut otherwise, if there is one among many. */
export function differingText(a: Tokenizer, b: Tokenizer): string | undefined {
  const pieces = Array.from({ length: Math.min(a.vocabSize, b.vocabSize) }, (_, id) => a.decode([id]));
  const words = Array.from({ length: Math.ceil(pieces.length / 64) }, (_, i) => pieces.slice(64 * i, 64 * i + 64));
  const texts = [...textsFor(a), ...words.flatMap((some) => [some.join(""), some.join(" ")])];
  return texts.find((text) => [false, true].some((special) => encoded(a, text, special) !== encoded(b, text, special)));
}

function idsDifference(a: Tokenizer, b: Tokenizer): readonly TextDifference[] {
  for (const text of textsFor(a)) {
    for (const special of [false, true]) {
      const values = [encoded(a, text, special), encoded(b, text, special)] as const;
      if (values[0] !== values[1]) return [{ field: `ids of ${JSON.stringify(text)}`, values }];
    }
  }
  return [];
}

/** The samples, and for every added token one with it in the middle of words. */
function textsFor(tokenizer: Tokenizer): readonly string[] {
  return [...samples, ...addedSamples(tokenizer)];
}

const mostNames = 1000;

/** Names of added tokens among words. Few vocabularies have many; some have hundreds that are reserved. */
function addedSamples(tokenizer: Tokenizer): readonly string[] {
  const names: string[] = [];
  for (let id = 0; id < tokenizer.vocabSize && names.length < mostNames; id++) {
    const kind = tokenizer.kind(id);
    if (kind === "control" || kind === "user-defined") names.push(tokenizer.piece(id));
  }
  return names.map((name) => `Say${name}it ${name}\n now ${name} `);
}

/** The ids of a text, or that it has none: a vocabulary need not know all characters. */
function encoded(tokenizer: Tokenizer, text: string, special: boolean): string {
  try {
    return tokenizer.encode(text, { special }).join();
  } catch {
    return "cannot be encoded";
  }
}
