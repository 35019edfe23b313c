// From a path or URL to an open checkpoint: where it is and what may be asked of it. What lies behind a path is opened in open/.

import { readdir, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { checkOptions, checkValue, type OptionSchema, option, PolyllamaError, textSetupOf } from "@polyllama/core";
import type { Checkpoint } from "./checkpoint.ts";
import { hubScheme } from "./hub/address.ts";
import { type HubOptions, hubOptionTypes, pull } from "./hub/pull.ts";
import { addressOf, checkpointLocation, isOpenFile } from "./location.ts";
import { withCompanions } from "./read/companions.ts";
import { checkVocabulary } from "./read/fit-vocabulary.ts";
import { handCut, isPiece } from "./read/hand-cut.ts";
import { openOne } from "./read/open/file.ts";
import { onlyGguf, openFolder } from "./read/open/folder.ts";
import type { PathOptions } from "./read/open/path.ts";
import { openWebBy, type WebLocation, type WebOpenOptions, webOpenOptionTypes } from "./read/open/web.ts";
import type { ByteSource } from "./read/sources/byte-source.ts";
import { handleSource, openGenuine } from "./read/sources/disk.ts";
import { environmentFetch } from "./read/sources/proxy.ts";
import { openSynthetic, syntheticScheme } from "./read/synthetic.ts";
import { readTokenizer } from "./read/tokenizer-files.ts";

/** Options of `openCheckpoint`. */
export interface OpenOptions extends WebOpenOptions {
  /** How the hub is reached; for `hf:` addresses only. */
  readonly hub?: HubOptions;
}

/** What each option of {@link OpenOptions} takes. */
export const openOptionTypes: OptionSchema<OpenOptions> = {
  ...webOpenOptionTypes,
  hub: option.object(hubOptionTypes),
};

/**
 * Opens a checkpoint: a GGUF file, or a folder with nothing but one; a safetensors file or a folder of them in Hugging Face's layout, a llama2.c file, or
 * `synthetic://PRESET?seed=1&format=q4_0` (see {@link openSynthetic}), or one on the hub, `hf:owner/name[:file][@revision]`
 * (see {@link pull}), which is fetched into the cache. Only headers, configuration and tokenizer are read. A URL (`https:`), a
 * `File`, `Blob` or handle, and a list of files are opened as in a browser, by range requests and slices; a `file:` URL as its
 * path; a `FileHandle`, which stays the caller's to close, and the bytes of a file as a Buffer, Uint8Array or ArrayBuffer, which
 * must not change while the checkpoint is open.
 *
 * A tokenizer is looked for where each kind keeps it: within GGUF; beside safetensors as `tokenizer.model`, else
 * `tokenizer.json`; beside a llama2.c file as `tok512.bin` (with the vocabulary's size in place of 512), else
 * `tokenizer.bin`.
 *
 * @throws {CheckpointError} naming file, tensor and remedy; {@link PolyllamaError} `ERR_CONFIG`, `ERR_TOKENIZER`,
 * `ERR_OPTION`; the signal's reason when aborted.
 */
export async function openCheckpoint(location: string | WebLocation, options: OpenOptions = {}): Promise<Checkpoint> {
  checkValue(location, checkpointLocation, "checkpoint", "openCheckpoint()");
  checkOptions(options, openOptionTypes, "openCheckpoint()");
  options.signal?.throwIfAborted();
  const place = await natural(location, "checkpoint");
  const isPath = typeof place === "string" && !/^(https?|blob|data):/.test(place);
  if (options.hub !== undefined && !(isPath && place.startsWith(hubScheme))) {
    throw new PolyllamaError("ERR_OPTION", "hub is for checkpoints on the hub: hf:owner/name[:file][@revision].");
  }
  const { tokenizer } = options;
  const own = tokenizer === undefined ? undefined : await natural(tokenizer, "tokenizer");
  const rest = { ...options, ...(own !== undefined && { tokenizer: own }) };
  return isPath ? openPath(place, pathOptions(rest)) : openElsewhere(place, rest);
}

/** What has no path, with a tokenizer that may have one. */
async function openElsewhere(place: string | WebLocation, { hub: _, ...options }: OpenOptions): Promise<Checkpoint> {
  const { tokenizer } = options;
  const fetch = await environmentFetch();
  if (typeof tokenizer !== "string" || /^(https?|blob|data):/.test(tokenizer)) return openWebBy(fetch, place, options);
  const source = await openGenuine(tokenizer);
  try {
    return await openWebBy(fetch, place, { ...options, tokenizer: source });
  } finally {
    await source.close();
  }
}

/** A `file:` address as a path, others as strings; an open file as a source of bytes. @throws {OptionError} */
async function natural<Location>(location: Location, name: string): Promise<Location | string | ByteSource> {
  if (isOpenFile(location)) return handleSource(location);
  if (typeof location !== "string" && !(location instanceof URL)) return location;
  const address = addressOf(location, name);
  if (!address.startsWith("file:")) return address;
  try {
    return fileURLToPath(address);
  } catch (cause) {
    throw new PolyllamaError("ERR_OPTION", `${name}: ${address} names no file of this machine.`, { cause });
  }
}

function pathOptions({ tokenizer, keep, inMemory, sha256, ...rest }: OpenOptions): PathOptions {
  for (const [name, value] of Object.entries({ keep, inMemory, sha256 })) {
    if (value !== undefined) throw new PolyllamaError("ERR_OPTION", `${name} is for checkpoints behind a URL.`);
  }
  if (tokenizer === undefined) return rest;
  if (typeof tokenizer === "string") return { ...rest, tokenizer };
  throw new PolyllamaError(
    "ERR_OPTION",
    "A checkpoint with a path takes the path of a tokenizer, as a string or `file:` URL.",
  );
}

async function openPath(given: string, options: PathOptions): Promise<Checkpoint> {
  if (given.startsWith(syntheticScheme)) return openSyntheticWith(given, options);
  if (given.startsWith(hubScheme)) return openFromHub(given, options);
  const location = (await onlyGguf(given)) ?? given;

  const sources: ByteSource[] = [];
  const open = async (path: string): Promise<ByteSource> => {
    const source = await openGenuine(path, options.signal);
    sources.push(source);
    return source;
  };
  try {
    const found = await stat(location).catch(() => undefined);
    const isFolder = found?.isDirectory() ?? false;
    if (!isFolder) await refusePieces(location, found !== undefined);
    const checkpoint = isFolder ? await openFolder(location, open, options) : await openOne(location, open, options);
    const total = sources.reduce((sum, { size }) => sum + size, 0);
    options.onProgress?.({ phase: "opening", done: total, total });
    return await withCompanions(checkpoint, location, options.tokenizer);
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

async function openFromHub(address: string, { hub, ...options }: PathOptions): Promise<Checkpoint> {
  const { onProgress, signal } = options;
  const { path } = await pull(address, { ...hub, ...(onProgress && { onProgress }), ...(signal && { signal }) });
  return openCheckpoint(path, options);
}

/** Explains a file that is a piece of one, or one that is missing while its pieces are there. @throws {CheckpointError} */
async function refusePieces(path: string, exists: boolean): Promise<void> {
  if (exists && !isPiece(basename(path))) return;
  const beside = await readdir(dirname(path)).catch(() => []);
  const explained = handCut(path, basename(path), beside);
  if (explained !== undefined) throw explained;
}

async function openSyntheticWith(url: string, { tokenizer: path, signal }: PathOptions): Promise<Checkpoint> {
  const checkpoint = openSynthetic(url);
  if (path === undefined) return checkpoint;
  const { name, config } = checkpoint;
  const { tokenizer } = await readTokenizer(path, config.vocabSize, signal);
  checkVocabulary({ name, config, tokenizer }, `write vocab=${tokenizer.vocabSize} into the address`);
  return withCompanions({ ...checkpoint, tokenizer, text: textSetupOf(tokenizer) }, url, path);
}
