// From whatever names or holds a checkpoint to an open one, in Node and in pages alike. What differs between them is
// where files are found (read/files-at.ts) and what only Node has (read/platform.ts).

import { checkOptions, checkValue, textSetupOf } from "@polyllama/core";
import { environmentFetch, pathOfAddress, pathOnHub } from "#read/platform";
import type { Checkpoint } from "./checkpoint.ts";
import { hubScheme } from "./hub/address.ts";
import { addressOf, checkpointLocation, type WebLocation } from "./location.ts";
import { checkApplies, type OpenOptions, openOptionTypes } from "./open-options.ts";
import { withCompanions, withTokenizer } from "./read/companions.ts";
import { type Files, openGenuine } from "./read/files.ts";
import { filesAt } from "./read/files-at.ts";
import { checkVocabulary } from "./read/fit-vocabulary.ts";
import { openOne } from "./read/open/file.ts";
import { openFolder } from "./read/open/folder.ts";
import type { ByteSource } from "./read/sources/byte-source.ts";
import { openSynthetic, syntheticScheme } from "./read/synthetic.ts";
import type { FoundTokenizer } from "./read/text-files.ts";
import { readTokenizerBy } from "./read/tokenizer-files.ts";
import { checkFetching } from "./read/web-files.ts";

/**
 * Opens a checkpoint: a GGUF, safetensors, PyTorch or llama2.c file, a folder in Hugging Face's layout or Meta's, or
 * one with a single file; `synthetic://PRESET?seed=1&format=q4_0` (see {@link openSynthetic}), or one on the hub,
 * `hf:owner/name[:file][@revision]` (see `pull`), which is fetched into the cache. Only headers, configuration and
 * tokenizer are read. Files may be given by path or `file:` URL in Node; by a URL (`https:`), which is read by range
 * requests and is a folder's where it ends with "/"; as a `File`, `Blob` or handle, or a list of files; as a
 * `FileHandle`, which stays the caller's to close; and as the bytes of a file, a Buffer, Uint8Array or ArrayBuffer,
 * which must not change while the checkpoint is open.
 *
 * A tokenizer is looked for where each kind keeps it: within GGUF; beside safetensors as `tokenizer.model`, else
 * `tokenizer.json`; beside a llama2.c file as `tok512.bin` (with the vocabulary's size in place of 512), else
 * `tokenizer.bin`.
 *
 * @throws {CheckpointError} naming file, tensor and remedy; `PolyllamaError` `ERR_CONFIG`, `ERR_TOKENIZER`,
 * `ERR_OPTION`, in a page `ERR_UNSUPPORTED` for what only Node has; the signal's reason when aborted.
 */
export function openCheckpoint(location: string | WebLocation, options: OpenOptions = {}): Promise<Checkpoint> {
  return openCheckpointBy(undefined, location, options);
}

/**
 * The same, with requests sent in the given way; undefined: as the environment wants it.
 *
 * @throws as {@link openCheckpoint}.
 */
export async function openCheckpointBy(
  given: typeof fetch | undefined,
  location: string | WebLocation,
  options: OpenOptions,
): Promise<Checkpoint> {
  checkValue(location, checkpointLocation, "checkpoint", "openCheckpoint()");
  checkOptions(options, openOptionTypes, "openCheckpoint()");
  const { signal, onProgress, hub, tokenizer, keep, inMemory, sha256 } = options;
  signal?.throwIfAborted();
  const isAddress = typeof location === "string" || location instanceof URL;
  const address = isAddress ? addressOf(location, "checkpoint") : undefined;
  const isSynthetic = address?.startsWith(syntheticScheme) ?? false;
  const isOnHub = address?.startsWith(hubScheme) ?? false;
  const isUrl = address !== undefined && !isSynthetic && !isOnHub && pathOfAddress(address, "checkpoint") === undefined;
  checkApplies(options, { isUrl, isOnHub });
  const common = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  const sending = { ...common, fetch: given ?? (await environmentFetch()) };
  let found: FoundTokenizer | undefined;
  const readGiven = async (size: number): Promise<FoundTokenizer> => {
    found = await readTokenizerBy(sending, tokenizer ?? "", size);
    return found;
  };
  const own = tokenizer === undefined ? undefined : readGiven;
  if (address !== undefined && isSynthetic) return openSyntheticWith(address, own);
  const place = address !== undefined && isOnHub ? await pathOnHub(address, { ...hub, ...common }) : location;
  const fetching = { ...sending, ...(keep && { keep }), ...(inMemory && { inMemory }), ...(sha256 && { sha256 }) };
  checkFetching(fetching);
  const files = await filesAt(place, "checkpoint", fetching);
  const checkpoint = await openFiles(files, own, options);
  return found === undefined ? checkpoint : withTokenizer(checkpoint, found);
}

async function openFiles(
  files: Files,
  tokenizer: ((vocabSize: number) => Promise<FoundTokenizer>) | undefined,
  { ignoreTensors, fitVocabulary, onProgress, signal }: OpenOptions,
): Promise<Checkpoint> {
  const sources: ByteSource[] = [];
  const open = async (name: string): Promise<ByteSource | undefined> => {
    const source = await openGenuine(files, name, signal);
    if (source !== undefined) sources.push(source);
    return source;
  };
  try {
    const opening = { files, open, tokenizer, ignoreTensors, fitVocabulary, onProgress, signal };
    const checkpoint = files.given === undefined ? await openFolder(opening) : await openOne(files.given, opening);
    const total = sources.reduce((sum, { size }) => sum + size, 0);
    onProgress?.({ phase: "opening", done: total, total });
    return await withCompanions(checkpoint, files);
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

async function openSyntheticWith(
  url: string,
  read: ((vocabSize: number) => Promise<FoundTokenizer>) | undefined,
): Promise<Checkpoint> {
  const checkpoint = openSynthetic(url);
  if (read === undefined) return checkpoint;
  const { name, config } = checkpoint;
  const found = await read(config.vocabSize);
  const { tokenizer } = found;
  checkVocabulary({ name, config, tokenizer }, `write vocab=${tokenizer.vocabSize} into the address`);
  return withTokenizer({ ...checkpoint, tokenizer, text: textSetupOf(tokenizer) }, found);
}
