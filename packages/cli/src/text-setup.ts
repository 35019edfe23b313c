// What a checkpoint says about text, for people and for programs: whether BOS is put in front, which tokens end a text
// and who says so, the chat template, added tokens, the sampling that its makers recommend.

import type { TokenKind } from "@polyllama/core";
import { type ChatFormat, type Checkpoint, chatFormatOf, PolyllamaError } from "polyllama";
import { plural } from "./format.ts";

interface TokenFact {
  readonly id: number;
  readonly piece: string;
}

/** As `inspect --json` prints it. */
export interface TextFacts {
  readonly tokens: number;
  readonly bos: number | null;
  readonly eos: number | null;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly ends: readonly (TokenFact & { readonly from: readonly string[] })[];
  readonly chatTemplate: { readonly jinja: string; readonly from: string } | null;
  readonly namedTemplates: Checkpoint["text"]["namedTemplates"];
  /** What `chat` writes conversations in by itself; null where it asks for `--template`. */
  readonly chatFormat: ChatFormat | null;
  /** Control tokens and names that are found in text, other than BOS, EOS and the unknown token. */
  readonly addedTokens: readonly (TokenFact & { readonly kind: TokenKind })[];
  /** What the checkpoint's makers recommend; applied where it is asked for. */
  readonly sampling: Checkpoint["text"]["sampling"];
}

/** Undefined for a checkpoint without a tokenizer. */
export function textFacts(checkpoint: Checkpoint): TextFacts | undefined {
  const { tokenizer, text } = checkpoint;
  if (tokenizer === undefined) return undefined;
  const fact = (id: number): TokenFact => ({ id, piece: tokenizer.piece(id) });
  const added = Array.from({ length: tokenizer.vocabSize }, (_, id) => ({ ...fact(id), kind: tokenizer.kind(id) }));
  return {
    tokens: tokenizer.vocabSize,
    bos: tokenizer.bos ?? null,
    eos: tokenizer.eos ?? null,
    addBos: text.addBos,
    addEos: text.addEos,
    ends: text.ends.map(({ id, from }) => ({ ...fact(id), from })),
    chatTemplate: text.chatTemplate ?? null,
    namedTemplates: text.namedTemplates,
    chatFormat: formatOf(checkpoint),
    addedTokens: added.filter(({ id, kind }) => {
      return (kind === "control" || kind === "user-defined") && id !== tokenizer.bos && id !== tokenizer.eos;
    }),
    sampling: text.sampling,
  };
}

function formatOf(checkpoint: Checkpoint): ChatFormat | null {
  try {
    return chatFormatOf(checkpoint);
  } catch (error) {
    if (error instanceof PolyllamaError && error.code === "ERR_CHAT") return null;
    throw error;
  }
}

/** Lines of a chat template, and added tokens, that are shown. */
const most = { lines: 3, characters: 100, tokens: 8 };

/** Rows of a table. */
export function describeText(facts: TextFacts | undefined): string[][] {
  if (facts === undefined) return [["tokenizer", "none; give one with --tokenizer"]];
  const { tokens, bos, eos, addBos, addEos, ends, chatTemplate, chatFormat, namedTemplates, addedTokens, sampling } =
    facts;
  const recommended = Object.entries(sampling).map(([name, value]) => `${name} ${value}`);
  return [
    ["tokenizer", plural(tokens, "token")],
    ["BOS", `${bos ?? "none"}${addBos ? ", in front of every text" : ", not put in front of texts"}`],
    ["EOS", `${eos ?? "none"}${addEos ? ", behind every text" : ""}`],
    ...ends.map((end, i) => [i === 0 ? "ends at" : "", `${named(end)} (${end.from.join("; ")})`]),
    ...(ends.length === 0 ? [["ends at", "no token"]] : []),
    ...describeTemplate(chatTemplate),
    ...namedTemplates.map(({ name, jinja, from }) => {
      return [`  ${name}`, `${plural(jinja.length, "character")}, ${from} (--template ${name})`];
    }),
    ["chat format", describeFormat(chatFormat)],
    ...addedTokens
      .slice(0, most.tokens)
      .map((token, i) => [i === 0 ? "added tokens" : "", `${named(token)} ${token.kind}`]),
    ...(addedTokens.length > most.tokens
      ? [["", `and ${addedTokens.length - most.tokens} more (--json lists them)`]]
      : []),
    ...(recommended.length > 0 ? [["recommended", `${recommended.join(", ")} (not applied unless given)`]] : []),
  ];
}

function named({ id, piece }: TokenFact): string {
  return `${id} ${JSON.stringify(piece)}`;
}

function describeFormat(format: ChatFormat | null): string {
  if (format === null) return "not known; chat asks for --template";
  return format.name === "jinja" ? "of the template's own" : `${format.name} (${format.from})`;
}

function describeTemplate(template: TextFacts["chatTemplate"]): string[][] {
  if (template === null) return [["chat template", "none"]];
  const lines = template.jinja.split("\n");
  const shown = lines.slice(0, most.lines).map((line) => {
    return line.length > most.characters ? `${line.slice(0, most.characters)}...` : line;
  });
  const rest =
    lines.length > most.lines ? [`... ${plural(lines.length - most.lines, "more line")} (--json prints all)`] : [];
  return [
    ["chat template", `${plural(template.jinja.length, "character")}, ${template.from}`],
    ...[...shown, ...rest].map((line) => ["", line]),
  ];
}
