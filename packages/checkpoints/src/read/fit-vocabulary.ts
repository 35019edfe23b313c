// A tokenizer and an embedding table that differ in size. Tables are often padded to a round number of rows: rows
// behind the last token are left out of the model, so that no backend computes them, none is ever chosen, and none
// counts in a probability. Any other difference gives text that the model never saw, or ids that it does not have; it
// is refused, unless the caller asks for what fits.

import { CheckpointError, PolyllamaError, type Tokenizer, vocabularyOwners, type WeightName } from "@polyllama/core";
import type { FileCheckpointParts, TensorPlace } from "./parts.ts";

type Sizes = Pick<FileCheckpointParts, "name" | "config" | "tokenizer">;

/**
 * @param wayOut Where it is not the option.
 * @throws {CheckpointError} naming both numbers, and what is known by them.
 */
export function checkVocabulary({ name, config, tokenizer }: Sizes, wayOut?: string): void {
  const tokens = tokenizer?.vocabSize;
  const rows = config.vocabSize;
  if (tokens === undefined || tokens === rows) return;
  throw new CheckpointError(
    { file: name },
    `the tokenizer has ${tokens} tokens, but the embedding table ${rows} rows`,
    remedy(tokens, rows, wayOut),
  );
}

function remedy(tokens: number, rows: number, wayOut?: string): string {
  const [owner, other] = [vocabularyOwners.get(rows), vocabularyOwners.get(tokens)];
  const weights = owner === undefined ? "" : `Weights of ${rows} rows are those of ${owner}. `;
  const tokenizer = other === undefined ? "" : `A tokenizer of ${tokens} tokens is that of ${other}. `;
  const wanted = owner === undefined ? "that belongs to these weights" : `of ${owner}`;
  const added = "with its added_tokens.json or tokenizer_config.json where it has one";
  const rest = tokens < rows ? "to leave out the rows that have no token" : "to leave out the tokens that have no row";
  return `${weights}${tokenizer}Give the tokenizer ${wanted}, with the option \`tokenizer\`, ${added}; or ${wayOut ?? `set \`fitVocabulary: true\` ${rest}`}.`;
}

/** Most rows that a table is padded by, and the number that rows are rounded to at least. */
const mostPadding = 1024;
const padding = 8;

/** Whether the rows behind the tokens look like padding rather than like those of missing tokens. */
function isPadded(rows: number, tokens: number): boolean {
  const more = rows - tokens;
  return more > 0 && more <= Math.min(mostPadding, tokens / 4) && rows % padding === 0 && !vocabularyOwners.has(rows);
}

const tables: readonly WeightName[] = ["tok_embeddings.weight", "output.weight"];

/** The parts with as many rows as tokens, where that is safe or asked for (`fitVocabulary`); else as they were. */
export function fitVocabulary(parts: FileCheckpointParts): FileCheckpointParts {
  const { tokenizer, config, places, notices = [] } = parts;
  const rows = places.get("tok_embeddings.weight")?.shape[0] ?? config.vocabSize;
  const tokens = tokenizer?.vocabSize;
  if (tokenizer === undefined || tokens === undefined || (tokens === rows && rows === config.vocabSize)) return parts;
  const declared = config.vocabSize === rows ? "" : `, and the configuration declares ${config.vocabSize}`;
  if (tokens === rows) {
    const notice = `The embedding table has a row for each of the ${tokens} tokens${declared}; the table counts.`;
    return { ...parts, config: { ...config, vocabSize: tokens }, notices: [...notices, notice] };
  }
  if (tokens < rows && (isPadded(rows, tokens) || parts.fitVocabulary)) {
    const notice = `The embedding table has ${rows} rows for ${tokens} tokens${declared}; the ${rows - tokens} behind them are left out.`;
    return {
      ...parts,
      config: { ...config, vocabSize: tokens },
      places: new Map([...places].map(([name, place]) => [name, tables.includes(name) ? cut(place, tokens) : place])),
      notices: [...notices, notice],
    };
  }
  if (tokens < rows || !parts.fitVocabulary) return parts;
  const notice = `The tokenizer has ${tokens} tokens for an embedding table of ${rows} rows; the ${tokens - rows} behind them are left out.`;
  const { text } = parts;
  const short = shortened(tokenizer, rows, parts.name);
  const { addBos, addEos } = short;
  return {
    ...parts,
    config: { ...config, vocabSize: rows },
    tokenizer: short,
    metadata: new Map([...parts.metadata].map(([key, value]) => [key, shortenedList(key, value, tokens, rows)])),
    ...(text && { text: { ...text, addBos, addEos, ends: text.ends.filter(({ id }) => id < rows) } }),
    notices: [...notices, notice],
  };
}

/** A table's first rows. */
function cut(place: TensorPlace, tokens: number): TensorPlace {
  const [rows = 0, ...columns] = place.shape;
  return rows > tokens ? { ...place, shape: [tokens, ...columns] } : place;
}

/** The tokenizer without its last tokens; text that needs one of them is refused. */
function shortened(tokenizer: Tokenizer, rows: number, name: string): Tokenizer {
  const within = (id: number | undefined): number | undefined => (id !== undefined && id < rows ? id : undefined);
  const addBos = tokenizer.addBos && within(tokenizer.bos) !== undefined;
  const addEos = tokenizer.addEos && within(tokenizer.eos) !== undefined;
  return {
    ...tokenizer,
    vocabSize: rows,
    bos: within(tokenizer.bos),
    eos: within(tokenizer.eos),
    addBos,
    addEos,
    id: (piece) => within(tokenizer.id(piece)),
    encode(text, options = {}) {
      const ids = tokenizer.encode(text, { bos: addBos, eos: addEos, ...options });
      const beyond = ids.find((id) => id >= rows);
      if (beyond === undefined) return ids;
      throw new PolyllamaError(
        "ERR_TOKENIZER",
        `${name}: the text has token ${beyond}, ${JSON.stringify(tokenizer.piece(beyond))}, for which the model has no row.`,
      );
    },
  };
}

/** GGUF's lists of the vocabulary. */
function shortenedList(key: string, value: unknown, tokens: number, rows: number): unknown {
  if (!/^tokenizer\.ggml\.(tokens|scores|token_type)$/.test(key)) return value;
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return value;
  const list = Array.from(value as ArrayLike<unknown>); // either has a length
  return list.length === tokens ? list.slice(0, rows) : value;
}
