// Finding and reading the files of tokenizers that are asked for by themselves.

import {
  CheckpointError,
  parseJson,
  readLlama2cVocabulary,
  tokenizerFromGguf,
  tokenizerFromJson,
  tokenizerFromVocabulary,
} from "@polyllama/core";
import { environmentFetch } from "#read/platform";
import type { TokenizerLocation } from "../location.ts";
import { type Files, missing, openGenuine, readWhole } from "./files.ts";
import { filesAt } from "./files-at.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { readAll } from "./sources/byte-source.ts";
import type { Sending } from "./sources/url.ts";
import { type FoundTokenizer, ggufVocabulary, readTextFiles, sentencePieceTokenizer } from "./text-files.ts";

/**
 * Reads a tokenizer of any kind; its content decides which. Of a folder the tokenizer that a checkpoint in it would
 * have.
 *
 * @param vocabSize Tokens of the model, which llama2.c's files do not say.
 * @throws {CheckpointError}; `PolyllamaError` `ERR_TOKENIZER`
 */
export async function readTokenizer(
  location: TokenizerLocation,
  vocabSize: number,
  signal?: AbortSignal,
): Promise<FoundTokenizer> {
  return readTokenizerBy({ fetch: await environmentFetch(), signal }, location, vocabSize);
}

/** The same, with requests sent in the given way. @throws as {@link readTokenizer}. */
export async function readTokenizerBy(
  sending: Sending,
  location: TokenizerLocation,
  vocabSize: number,
): Promise<FoundTokenizer> {
  const files = await filesAt(location, "tokenizer", sending);
  return readFrom(files, files.given ?? (await nameIn(files, vocabSize, sending.signal)), vocabSize, sending.signal);
}

async function readFrom(files: Files, name: string, vocabSize: number, signal?: AbortSignal): Promise<FoundTokenizer> {
  const path = files.pathOf(name);
  const source = (await openGenuine(files, name, signal)) ?? missing(path);
  try {
    const start = await source.read(0, Math.min(16, source.size), signal);
    const text = String.fromCharCode(...start);
    if (text.startsWith("GGUF")) {
      const { metadata } = await readGgufHeader(source, signal);
      const vocabulary = new Map([...metadata].filter(([key]) => key.startsWith("tokenizer.")));
      return { tokenizer: tokenizerFromGguf(metadata, path), vocabulary };
    }
    const bytes = await readAll(source, signal);
    const at = files.isLocal ? { path } : {};
    if (/^(?:\u00ef\u00bb\u00bf)?\s*\{/.test(text)) {
      const around = await readTextFiles(files, signal);
      const json = parseJson(new TextDecoder().decode(bytes), path);
      return {
        tokenizer: tokenizerFromJson(json, path, around.tokenizerConfig, around),
        file: "tokenizer.json",
        ...at,
      };
    }
    // A llama2.c tokenizer starts with a small number in four bytes, a SentencePiece model with the tag of its first
    // piece.
    const isLlama2c = start[1] === 0 && start[2] === 0 && start[3] === 0;
    if (isLlama2c) return llama2cFile(bytes, vocabSize, path);
    const isWhole = name === "tokenizer.model"; // a file of another name is a vocabulary by itself
    return { ...sentencePieceTokenizer(bytes, path, isWhole ? await readTextFiles(files, signal) : {}), ...at };
  } finally {
    await source.close();
  }
}

/** The name of the tokenizer that a checkpoint in the folder would have. @throws {CheckpointError} */
async function nameIn(files: Files, vocabSize: number, signal?: AbortSignal): Promise<string> {
  const there = (await files.list()) ?? [];
  const ggufs = there.filter((name) => /\.gguf$/i.test(name));
  const known = ["tokenizer.model", "tokenizer.json", `tok${vocabSize}.bin`, "tokenizer.bin"];
  const [first, second] = [...known.filter((name) => there.includes(name)), ...(ggufs.length === 1 ? ggufs : [])];
  if (first === undefined) {
    throw new CheckpointError(
      { file: files.name },
      "the folder has no tokenizer.model, tokenizer.json or tokenizer.bin, and not exactly one GGUF file",
      "Give the path of the tokenizer's file.",
    );
  }
  if (second !== "tokenizer.json") return first;
  // Of both, the second where only that has as many tokens as the model.
  const sizeOf = async (name: string) => (await readFrom(files, name, vocabSize, signal)).tokenizer.vocabSize;
  return (await sizeOf(first)) !== vocabSize && (await sizeOf(second)) === vocabSize ? second : first;
}

/** `tok{V}.bin` or `tokenizer.bin` beside the weights. @throws as {@link readTokenizer}. */
export async function llama2cTokenizer(
  files: Files,
  vocabSize: number,
  signal?: AbortSignal,
): Promise<FoundTokenizer | undefined> {
  for (const name of [`tok${vocabSize}.bin`, "tokenizer.bin"]) {
    const bytes = await readWhole(files, name, signal);
    if (bytes !== undefined) return llama2cFile(bytes, vocabSize, files.pathOf(name));
  }
  return undefined;
}

function llama2cFile(bytes: Uint8Array, vocabSize: number, path: string): FoundTokenizer {
  const vocabulary = readLlama2cVocabulary(bytes, vocabSize, path);
  return { tokenizer: tokenizerFromVocabulary(vocabulary), vocabulary: ggufVocabulary(vocabulary) };
}
