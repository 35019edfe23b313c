// Finding and reading the files of tokenizers.

import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  CheckpointError,
  parseJson,
  readLlama2cVocabulary,
  tokenizerFromGguf,
  tokenizerFromJson,
  tokenizerFromVocabulary,
} from "@polyllama/core";
import { readGgufHeader } from "./gguf-header.ts";
import { openGenuine, readWhole } from "./sources/disk.ts";
import { type FileReader, templateFolder, templateName } from "./template-files.ts";
import type { FoundTokenizer } from "./text-files.ts";
import { ggufVocabulary, readTextFiles, sentencePieceTokenizer } from "./text-files.ts";

/**
 * Reads a tokenizer of any kind; its content decides which. Of a folder the tokenizer that a checkpoint in it would have.
 *
 * @param vocabSize Tokens of the model, which llama2.c's files do not say.
 * @throws {CheckpointError}; {@link PolyllamaError} `ERR_TOKENIZER`
 */
export async function readTokenizer(given: string, vocabSize: number, signal?: AbortSignal): Promise<FoundTokenizer> {
  const path = await tokenizerPath(given, vocabSize, signal);
  const source = await openGenuine(path, signal);
  let start: Uint8Array;
  try {
    start = await source.read(0, Math.min(16, source.size), signal);
    if (String.fromCharCode(...start.subarray(0, 4)) === "GGUF") {
      const { metadata } = await readGgufHeader(source, signal);
      const vocabulary = new Map([...metadata].filter(([key]) => key.startsWith("tokenizer.")));
      return { tokenizer: tokenizerFromGguf(metadata, path), vocabulary };
    }
  } finally {
    await source.close();
  }
  const bytes = (await readWhole(path, signal)) ?? missing(path);
  if (/^(?:\u00ef\u00bb\u00bf)?\s*\{/.test(String.fromCharCode(...start))) {
    const files = await readTextFiles(besideFiles(dirname(path), signal), join(dirname(path), "/"));
    return {
      tokenizer: tokenizerFromJson(json(bytes, path), path, files.tokenizerConfig, files),
      file: "tokenizer.json",
    };
  }
  // A llama2.c tokenizer starts with a small number in four bytes, a SentencePiece model with the tag of its first piece.
  const isLlama2c = start[1] === 0 && start[2] === 0 && start[3] === 0;
  if (isLlama2c) return llama2cFile(bytes, vocabSize, path);
  const isWhole = basename(path) === "tokenizer.model"; // a file of another name is a vocabulary by itself
  const files = isWhole ? await readTextFiles(besideFiles(dirname(path), signal), join(dirname(path), "/")) : {};
  return sentencePieceTokenizer(bytes, path, files);
}

/** The path itself or, of a folder, that of the tokenizer that a checkpoint in it would have. @throws {CheckpointError} */
export async function tokenizerPath(path: string, vocabSize: number, signal?: AbortSignal): Promise<string> {
  if (!(await stat(path).catch(() => undefined))?.isDirectory()) return path;
  const there = await readdir(path);
  const ggufs = there.filter((name) => /\.gguf$/i.test(name));
  const known = ["tokenizer.model", "tokenizer.json", `tok${vocabSize}.bin`, "tokenizer.bin"];
  const names = [...known.filter((name) => there.includes(name)), ...(ggufs.length === 1 ? ggufs : [])];
  const [first, second] = names.map((name) => join(path, name));
  if (first === undefined) {
    throw new CheckpointError(
      { file: path },
      "the folder has no tokenizer.model, tokenizer.json or tokenizer.bin, and not exactly one GGUF file",
      "Give the path of the tokenizer's file.",
    );
  }
  if (second === undefined || names[1] !== "tokenizer.json") return first;
  // Of both, the second where only that has as many tokens as the model.
  const sizeOf = async (file: string) => (await readTokenizer(file, vocabSize, signal)).tokenizer.vocabSize;
  return (await sizeOf(first)) !== vocabSize && (await sizeOf(second)) === vocabSize ? second : first;
}

/** Reads files of a folder. */
export function besideFiles(folder: string, signal?: AbortSignal): FileReader {
  return (name) => readWhole(join(folder, name), signal);
}

/** Names of the chat templates beside the one without a name. */
export async function templateNames(folder: string): Promise<readonly string[]> {
  const files = await readdir(join(folder, templateFolder)).catch(() => []);
  return files.flatMap((file) => templateName(file) ?? []).sort();
}

/** The file that the option names, else `tok{V}.bin` or `tokenizer.bin` beside the weights. */
export async function llama2cTokenizer(
  weightsPath: string,
  vocabSize: number,
  option: string | undefined,
  signal?: AbortSignal,
): Promise<FoundTokenizer | undefined> {
  if (option !== undefined) return readTokenizer(option, vocabSize, signal);
  for (const name of [`tok${vocabSize}.bin`, "tokenizer.bin"]) {
    const path = join(dirname(weightsPath), name);
    const bytes = await readWhole(path, signal);
    if (bytes !== undefined) return llama2cFile(bytes, vocabSize, path);
  }
  return undefined;
}

function llama2cFile(bytes: Uint8Array, vocabSize: number, path: string): FoundTokenizer {
  const vocabulary = readLlama2cVocabulary(bytes, vocabSize, path);
  return { tokenizer: tokenizerFromVocabulary(vocabulary), vocabulary: ggufVocabulary(vocabulary) };
}

function json(bytes: Uint8Array, path: string): unknown {
  return parseJson(new TextDecoder().decode(bytes), path);
}

function missing(path: string): never {
  throw new CheckpointError({ file: path }, "there is no such file", "Check the path.");
}
