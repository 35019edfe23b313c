// Finding and reading the files of tokenizers.

import { dirname, join } from "node:path";
import {
  CheckpointError,
  type Tokenizer,
  tokenizerFromGguf,
  tokenizerFromJson,
  tokenizerFromLlama2c,
  tokenizerFromSentencePiece,
} from "@polyllama/core";
import { readGgufHeader } from "./gguf/header.ts";
import { openFile, readWhole } from "./node-file.ts";
import { parseJson } from "./safetensors.ts";

/**
 * Reads a tokenizer of any kind; its content decides which.
 *
 * @param vocabSize Tokens of the model, which llama2.c's files do not say.
 * @throws {CheckpointError}; {@link PolyllamaError} `ERR_TOKENIZER`
 */
export async function readTokenizer(path: string, vocabSize: number, signal?: AbortSignal): Promise<Tokenizer> {
  const source = await openFile(path);
  let start: Uint8Array;
  try {
    start = await source.read(0, Math.min(16, source.size), signal);
    if (String.fromCharCode(...start.subarray(0, 4)) === "GGUF") {
      return tokenizerFromGguf((await readGgufHeader(source, signal)).metadata, path);
    }
  } finally {
    await source.close();
  }
  const bytes = (await readWhole(path, signal)) ?? missing(path);
  if (/^(?:\u00ef\u00bb\u00bf)?\s*\{/.test(String.fromCharCode(...start))) {
    const config = await readWhole(join(dirname(path), "tokenizer_config.json"), signal);
    return tokenizerFromJson(json(bytes, path), path, config && json(config, "tokenizer_config.json"));
  }
  // A llama2.c tokenizer starts with a small number in four bytes, a SentencePiece model with the tag of its first piece.
  const isLlama2c = start[1] === 0 && start[2] === 0 && start[3] === 0;
  return isLlama2c ? tokenizerFromLlama2c(bytes, vocabSize, path) : tokenizerFromSentencePiece(bytes, path);
}

/** `tokenizer.model`, else `tokenizer.json`; of both, the second where only that has as many tokens as the model. */
export async function huggingFaceTokenizer(
  folder: string,
  vocabSize: number,
  tokenizerConfig: unknown,
  signal?: AbortSignal,
): Promise<Tokenizer | undefined> {
  const modelPath = join(folder, "tokenizer.model");
  const jsonPath = join(folder, "tokenizer.json");
  const model = await readWhole(modelPath, signal);
  const tokenizer = model && tokenizerFromSentencePiece(model, modelPath);
  if (tokenizer?.vocabSize === vocabSize) return tokenizer;
  const bytes = await readWhole(jsonPath, signal);
  if (bytes === undefined) return tokenizer;
  const other = tokenizerFromJson(json(bytes, jsonPath), jsonPath, tokenizerConfig);
  return tokenizer === undefined || other.vocabSize === vocabSize ? other : tokenizer;
}

/** The file that the option names, else `tok{V}.bin` or `tokenizer.bin` beside the weights. */
export async function llama2cTokenizer(
  weightsPath: string,
  vocabSize: number,
  option: string | undefined,
  signal?: AbortSignal,
): Promise<Tokenizer | undefined> {
  if (option !== undefined) return readTokenizer(option, vocabSize, signal);
  for (const name of [`tok${vocabSize}.bin`, "tokenizer.bin"]) {
    const path = join(dirname(weightsPath), name);
    const bytes = await readWhole(path, signal);
    if (bytes !== undefined) return tokenizerFromLlama2c(bytes, vocabSize, path);
  }
  return undefined;
}

function json(bytes: Uint8Array, path: string): unknown {
  return parseJson(new TextDecoder().decode(bytes), path);
}

function missing(path: string): never {
  throw new CheckpointError({ file: path }, "there is no such file", "Check the path.");
}
