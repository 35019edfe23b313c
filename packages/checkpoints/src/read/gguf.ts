// A GGUF file as a checkpoint. Architecture "llama" stores rotary pairs interleaved, as this project computes them, so
// tensors only change their names. What would change the result and is not computed here is refused.

import {
  CheckpointError,
  configFromGguf,
  type Tokenizer,
  textSetupFromGguf,
  tokenizerFromGguf,
  type WeightName,
} from "@polyllama/core";
import { withoutPadding } from "@polyllama/vocabulary";
import type { Checkpoint } from "../checkpoint.ts";
import { canonicalName } from "../names.ts";
import { fileCheckpoint } from "./file-checkpoint.ts";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./gguf-header.ts";
import { type Leftovers, leftovers } from "./leftovers.ts";
import type { TensorPlace } from "./parts.ts";
import type { ByteSource } from "./sources/byte-source.ts";

/**
 * Opens a GGUF file, or all parts of a split one in their order. The checkpoint closes the sources; when this throws,
 * they stay open.
 *
 * @param ignoreTensors Names of tensors to leave out that Llama does not have; `*` stands for any characters.
 * @param fitVocabulary Leave out rows without a token, or tokens without a row, whatever their number.
 * @param tokenizer Gives the tokenizer, for a number of tokens, that takes the place of the one within the file.
 * @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG`, `ERR_TOKENIZER`
 */
export async function openGguf(
  source: ByteSource | readonly ByteSource[],
  tokenizer?: (vocabSize: number) => Promise<Tokenizer>,
  signal?: AbortSignal,
  ignoreTensors?: readonly string[],
  fitVocabulary?: boolean,
): Promise<Checkpoint> {
  const sources = "read" in source ? [source] : source;
  const headers = await readParts(sources, signal);
  const metadata = withoutPadding(headers[0]!.metadata);
  const file = sources[0]!.name;

  // what is no Llama is told before its tensors are
  configFromGguf(metadata, file, { vocabSize: 1, tiedEmbeddings: true });
  const places = new Map<WeightName, TensorPlace>();
  const rest = leftovers(ignoreTensors);
  for (const [part, { tensors }] of headers.entries()) {
    for (const tensor of tensors) await addTensor(places, tensor, sources[part]!, rest, signal);
  }

  const table = places.get("tok_embeddings.weight");
  const config = configFromGguf(metadata, file, {
    vocabSize: table?.shape[0] ?? 1, // a missing table is reported with the other tensors
    tiedEmbeddings: !places.has("output.weight"),
  });
  const declared = metadata.get("llama.vocab_size");
  if (table !== undefined && declared !== undefined && declared !== config.vocabSize) {
    throw new CheckpointError(
      { file, tensor: table.name },
      `it has ${config.vocabSize} rows, but llama.vocab_size is ${String(declared)}`,
      "The file contradicts itself; convert it again.",
    );
  }
  const within = await textOf(metadata, file, config.vocabSize, tokenizer);
  return fileCheckpoint({
    kind: "gguf",
    name: file,
    config,
    ...(fitVocabulary && { fitVocabulary }),
    tokenizer: within.tokenizer,
    text: within.text,
    stored: headers.flatMap(({ tensors }, part) =>
      tensors.map(({ name, shape, format, bytes }) => ({ name, shape, format, bytes, file: sources[part]!.name })),
    ),
    metadata,
    notices: [...within.notices, ...rest.notices()],
    places,
    files: headers.map(({ headerBytes }, part) => ({ source: sources[part]!, headerBytes })),
  });
}

/** The headers of all parts, which say themselves that they belong together (llama-gguf-split writes these keys). */
async function readParts(sources: readonly ByteSource[], signal?: AbortSignal): Promise<readonly GgufHeader[]> {
  const headers: GgufHeader[] = [];
  for (const source of sources) headers.push(await readGgufHeader(source, signal));
  const tensors = headers.reduce((sum, header) => sum + header.tensors.length, 0);
  for (const [part, { metadata }] of headers.entries()) {
    const file = sources[part]!.name;
    const count = metadata.get("split.count") ?? 1;
    if (count !== sources.length && sources.length === 1) {
      throw new CheckpointError(
        { file },
        `this is one of ${String(count)} parts of a split GGUF file`,
        "Put all parts into one folder under their usual names, such as model-00001-of-00003.gguf, or join them with llama-gguf-split --merge.",
      );
    }
    const number = metadata.get("split.no") ?? 0;
    const total = metadata.get("split.tensors.count") ?? tensors;
    if (count === sources.length && number === part && total === tensors) continue;
    throw new CheckpointError(
      { file },
      `as part ${part + 1} of ${sources.length} with ${tensors} tensors in all, it says to be part ${Number(number) + 1} of ${String(count)} with ${String(total)}`,
      "Parts of different files are mixed, or renamed; download them again.",
    );
  }
  return headers;
}

async function addTensor(
  places: Map<WeightName, TensorPlace>,
  tensor: GgufTensor,
  source: ByteSource,
  rest: Leftovers,
  signal?: AbortSignal,
): Promise<void> {
  if (rest.ignores(tensor.name)) return;
  const name = canonicalName(tensor.name, "gguf");
  if (name === undefined) return rest.passOver({ ...tensor, source }, signal);
  if (places.has(name)) {
    const where = { file: source.name, tensor: tensor.name };
    throw new CheckpointError(where, "another part has a tensor of the same name", "Download all parts again.");
  }
  places.set(name, { ...tensor, source });
}

/** The tokenizer, given or within the file, and what stands about text beside it. */
async function textOf(
  metadata: ReadonlyMap<string, unknown>,
  file: string,
  vocabSize: number,
  given: ((vocabSize: number) => Promise<Tokenizer>) | undefined,
) {
  const model = metadata.get("tokenizer.ggml.model");
  const notices: string[] = [];
  const notice = (remark: string): void => void notices.push(`${remark}.`);
  const isNone = model === undefined || model === "no_vocab" || model === "none";
  const within = () => (isNone ? undefined : tokenizerFromGguf(metadata, file, notice));
  const tokenizer = given === undefined ? within() : await given(vocabSize);
  return { tokenizer, text: textSetupFromGguf(metadata, tokenizer, notice), notices };
}
