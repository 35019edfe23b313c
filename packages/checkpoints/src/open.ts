// From a path or URL to an open checkpoint. What a file is is decided by its first bytes; names only help to find the files
// that belong together, and to explain what cannot be read.

import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CheckpointError,
  checkOptions,
  checkValue,
  type OptionSchema,
  option,
  PolyllamaError,
  parseJson,
  textSetupOf,
} from "@polyllama/core";
import type { ByteSource } from "./byte-source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { withCompanions } from "./companions.ts";
import { openGguf } from "./gguf/read.ts";
import { handCut, isPiece } from "./hand-cut.ts";
import { hubScheme } from "./hub/address.ts";
import { type HubOptions, hubOptionTypes, pull } from "./hub/pull.ts";
import { openLlama2c, readLlama2cHeader } from "./llama2c.ts";
import { addressOf, checkpointLocation, isOpenFile } from "./location.ts";
import { openPytorch } from "./meta/hugging-face.ts";
import { openMeta } from "./meta/read.ts";
import { readTorchFile } from "./meta/torch-file.ts";
import { handleSource, openGenuine, readWhole, unreadable } from "./node-file.ts";
import { environmentFetch } from "./proxy.ts";
import { recognize } from "./recognize.ts";
import { asObject, type FoundTokenizer, type HuggingFaceParts, MOST_VALUES, openSafetensors } from "./safetensors.ts";
import { openSynthetic, syntheticScheme } from "./synthetic.ts";
import { huggingFaceTokenizer, readTextFiles, sentencePieceTokenizer } from "./text-files.ts";
import { besideFiles, llama2cTokenizer, readTokenizer, templateNames } from "./tokenizer-files.ts";
import { checkVocabulary } from "./vocabulary.ts";
import { openWebBy, type WebLocation, type WebOpenOptions, webOpenOptionTypes } from "./web/open.ts";

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

/** Options of what has a path. */
interface PathOptions extends Omit<OpenOptions, "tokenizer" | "keep" | "inMemory" | "sha256"> {
  readonly tokenizer?: string;
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

type Opener = (path: string) => Promise<ByteSource>;

async function openSyntheticWith(url: string, { tokenizer: path, signal }: PathOptions): Promise<Checkpoint> {
  const checkpoint = openSynthetic(url);
  if (path === undefined) return checkpoint;
  const { name, config } = checkpoint;
  const { tokenizer } = await readTokenizer(path, config.vocabSize, signal);
  checkVocabulary({ name, config, tokenizer }, `write vocab=${tokenizer.vocabSize} into the address`);
  return withCompanions({ ...checkpoint, tokenizer, text: textSetupOf(tokenizer) }, url, path);
}

async function openOne(path: string, open: Opener, options: PathOptions): Promise<Checkpoint> {
  const { tokenizer, signal, fitVocabulary } = options;
  const source = await open(path);
  const kind = recognize(await source.read(0, Math.min(64, source.size), signal), source);
  if (kind === "gguf") {
    const given =
      tokenizer === undefined
        ? undefined
        : async (size: number) => (await readTokenizer(tokenizer, size, signal)).tokenizer;
    return openGguf(await splitParts(path, source, open), given, signal, options.ignoreTensors, fitVocabulary);
  }
  if (kind === "llama2.c") {
    const header = await readLlama2cHeader(source, signal);
    const found = await llama2cTokenizer(path, header.config.vocabSize, tokenizer, signal);
    return openLlama2c(source, header, found, fitVocabulary);
  }
  if (kind === "pytorch" && (await isMeta(source, path, signal))) {
    const siblings = shardName.test(basename(path)) ? await readdir(dirname(path)) : [];
    const numbered = siblings.some((name) => shardName.test(name) && name !== basename(path));
    if (!numbered) return openMeta([source], await metaParts(path, dirname(path), options), signal);
    await source.close();
    return openMetaFolder(dirname(path), siblings, open, options);
  }
  const layout = huggingFaceLayouts[kind];
  const index = await readIndex(dirname(path), layout, signal);
  if (index !== undefined && index.shards.length > 1 && index.shards.includes(basename(path))) {
    throw new CheckpointError(
      { file: path },
      `this is one of the ${index.shards.length} files of a checkpoint`,
      `Give the folder: ${dirname(path)}`,
    );
  }
  const parts = await huggingFaceParts(path, dirname(path), options);
  return layout.open(new Map([[basename(path), source]]), parts, signal);
}

/** All parts of a split GGUF file, in order, given any one of them; else the file alone. */
async function splitParts(path: string, source: ByteSource, open: Opener): Promise<readonly ByteSource[]> {
  const [, stem, own, of = "1"] = /^(.+)-(\d{5})-of-(\d{5})\.gguf$/i.exec(basename(path)) ?? [];
  if (Number(of) < 2) return [source];
  const names = Array.from({ length: Number(of) }, (_, i) => `${stem}-${String(i + 1).padStart(5, "0")}-of-${of}.gguf`);
  const there = await readdir(dirname(path));
  const missing = names.filter((name) => called(name, there) === undefined);
  if (missing.length > 0) {
    throw new CheckpointError(
      { file: path },
      `of its ${names.length} parts ${missing.length} are missing: ${missing.slice(0, 20).join(", ")}`,
      "Download them into the folder.",
    );
  }
  const parts: ByteSource[] = [];
  for (const [index, name] of names.entries()) {
    parts.push(index + 1 === Number(own) ? source : await open(join(dirname(path), called(name, there) ?? name)));
  }
  return parts;
}

/** How the files of a checkpoint in Hugging Face's layout are named. */
interface HuggingFaceLayout {
  readonly single: string;
  readonly index: string;
  readonly open: typeof openSafetensors;
}

const huggingFaceLayouts: Readonly<Record<"safetensors" | "pytorch", HuggingFaceLayout>> = {
  safetensors: { single: "model.safetensors", index: "model.safetensors.index.json", open: openSafetensors },
  pytorch: {
    single: "pytorch_model.bin",
    index: "pytorch_model.bin.index.json",
    open: openPytorch,
  },
};

async function openFolder(folder: string, open: Opener, options: PathOptions): Promise<Checkpoint> {
  const { signal, onProgress } = options;
  const names = await readdir(folder).catch((error: unknown) => unreadable(folder, error));
  for (const layout of Object.values(huggingFaceLayouts)) {
    const single = called(layout.single, names);
    if (single !== undefined) {
      const parts = await huggingFaceParts(folder, folder, options);
      const source = await open(join(folder, single));
      return layout.open(new Map([[layout.single, source]]), parts, signal);
    }
    const index = await readIndex(folder, layout, signal);
    if (index === undefined) continue;
    const parts = await huggingFaceParts(folder, folder, options);
    const sources = new Map<string, ByteSource>();
    for (const shard of index.shards) {
      const name = called(shard, names);
      if (name === undefined) {
        throw new CheckpointError(
          { file: join(folder, shard) },
          `this file is missing, one of the ${index.shards.length} that ${layout.index} lists`,
          "Download it into the folder.",
        );
      }
      sources.set(shard, await open(join(folder, name)));
      onProgress?.({ phase: "opening files", done: sources.size, total: index.shards.length, unit: "files" });
    }
    return layout.open(sources, { ...parts, index }, signal);
  }
  if (names.some((name) => shardName.test(name))) return openMetaFolder(folder, names, open, options);
  const only = onlySafetensors(names);
  if (only !== undefined) return openOne(join(folder, only), open, options);
  throw handCut(folder, undefined, names) ?? nothingIn(folder, names);
}

const shardName = /^consolidated\.(\d\d)\.pth$/i;

/** The file of that name, else the one that is spelled in capitals. */
function called(name: string, names: readonly string[]): string | undefined {
  return names.find((other) => other === name) ?? names.find((other) => other.toLowerCase() === name.toLowerCase());
}

/** The single safetensors file, of any name, of a folder that holds nothing else to open. */
function onlySafetensors(names: readonly string[]): string | undefined {
  if (ggufsIn(names).length > 0) return undefined;
  const found = names.filter((name) => /\.safetensors$/i.test(name));
  return found.length === 1 && !found[0]!.startsWith("adapter_") ? found[0] : undefined;
}

/** Whether a file of PyTorch is Meta's: by what stands beside it, or by the names of its tensors. */
async function isMeta(source: ByteSource, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  if (shardName.test(basename(path))) return true;
  const { tensors } = await readTorchFile(source, signal);
  return tensors.some(({ name }) => name === "tok_embeddings.weight");
}

async function openMetaFolder(
  folder: string,
  names: readonly string[],
  open: Opener,
  options: PathOptions,
): Promise<Checkpoint> {
  const shards = names.filter((name) => shardName.test(name)).sort();
  for (const [number, name] of shards.entries()) {
    const expected = `consolidated.${String(number).padStart(2, "0")}.pth`;
    if (name.toLowerCase() === expected) continue;
    throw new CheckpointError(
      { file: join(folder, expected) },
      `this file is missing, though ${shards.at(-1)} is there`,
      "Download it into the folder.",
    );
  }
  const parts = await metaParts(folder, folder, options);
  const sources: ByteSource[] = [];
  for (const name of shards) {
    sources.push(await open(join(folder, name)));
    options.onProgress?.({ phase: "opening files", done: sources.length, total: shards.length, unit: "files" });
  }
  return openMeta(sources, parts, options.signal);
}

async function metaParts(
  name: string,
  folder: string,
  { tokenizer, signal, ignoreTensors, fitVocabulary }: PathOptions,
) {
  const paramsName = join(folder, "params.json");
  const params = await readJson(paramsName, signal);
  if (params === undefined) {
    throw new CheckpointError(
      { file: paramsName },
      "this file is missing; Meta's files do not say what model they belong to",
      "Put the checkpoint's params.json beside them.",
    );
  }
  return {
    name,
    params,
    paramsName,
    ...(ignoreTensors && { ignoreTensors }),
    ...(fitVocabulary && { fitVocabulary }),
    tokenizer: (size: number) =>
      tokenizer === undefined ? metaTokenizer(folder, signal) : readTokenizer(tokenizer, size, signal),
  };
}

/** Meta's download puts one `tokenizer.model` beside the folders of all sizes. */
async function metaTokenizer(folder: string, signal: AbortSignal | undefined): Promise<FoundTokenizer | undefined> {
  for (const path of [join(folder, "tokenizer.model"), join(folder, "..", "tokenizer.model")]) {
    const bytes = await readWhole(path, signal);
    if (bytes !== undefined) return sentencePieceTokenizer(bytes, path);
  }
  return undefined;
}

interface Index extends NonNullable<HuggingFaceParts["index"]> {
  readonly shards: readonly string[];
}

async function readIndex(
  folder: string,
  layout: HuggingFaceLayout,
  signal: AbortSignal | undefined,
): Promise<Index | undefined> {
  const path = join(folder, layout.index);
  const json = await readJson(path, signal);
  if (json === undefined) return undefined;
  const map = asObject(asObject(json)?.["weight_map"]);
  const files = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map ?? {})) {
    if (typeof file !== "string" || file === "" || file === "." || file === ".." || /[\\/:\p{Cc}]/u.test(file)) {
      throw new CheckpointError(
        { file: path, tensor },
        `${JSON.stringify(file)} is not the name of a file beside the index`,
        "The index is damaged; download it again.",
      );
    }
    files.set(tensor, file);
  }
  if (files.size === 0) {
    throw new CheckpointError({ file: path }, "it has no weight_map", "The index is damaged; download it again.");
  }
  return { name: path, files, shards: [...new Set(files.values())].sort() };
}

async function huggingFaceParts(name: string, folder: string, options: PathOptions): Promise<HuggingFaceParts> {
  const { tokenizer, signal } = options;
  const configName = join(folder, "config.json");
  const config = await readJson(configName, signal);
  if (config === undefined) {
    throw new CheckpointError(
      { file: configName },
      "this file is missing; safetensors files do not say what model they belong to",
      "Put the checkpoint's config.json beside them.",
    );
  }
  const read = besideFiles(folder, signal);
  const text = await readTextFiles(read, join(folder, "/"), () => templateNames(folder));
  return {
    name,
    config,
    configName,
    ...(options.ignoreTensors && { ignoreTensors: options.ignoreTensors }),
    ...(options.fitVocabulary && { fitVocabulary: true }),
    text,
    tokenizer: (size) =>
      tokenizer === undefined
        ? huggingFaceTokenizer(read, size, text, join(folder, "/"))
        : readTokenizer(tokenizer, size, signal),
  };
}

async function readJson(path: string, signal: AbortSignal | undefined): Promise<unknown> {
  const bytes = await readWhole(path, signal);
  return bytes === undefined ? undefined : parseJson(new TextDecoder().decode(bytes), path, MOST_VALUES);
}

/** GGUF files in a folder that has nothing else to open: all of one model's parts count as its first. */
function ggufsIn(names: readonly string[]): readonly string[] {
  const others = [...Object.values(huggingFaceLayouts).flatMap(({ single, index }) => [single, index])];
  if (names.some((name) => others.includes(name) || shardName.test(name))) return [];
  return names.filter((name) => /\.gguf$/i.test(name) && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(name)).sort();
}

/** The one GGUF file that a folder holds, where it is a folder and holds one. */
async function onlyGguf(folder: string): Promise<string | undefined> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) return undefined;
  const [name, ...more] = ggufsIn(await readdir(folder).catch((error: unknown) => unreadable(folder, error)));
  return name === undefined || more.length > 0 ? undefined : join(folder, name);
}

function nothingIn(folder: string, names: readonly string[]): CheckpointError {
  const ggufs = ggufsIn(names);
  if (ggufs.length > 0) {
    const shown = ggufs.length > 20 ? [...ggufs.slice(0, 20), "..."] : ggufs;
    return new CheckpointError(
      { file: folder },
      `the folder holds ${ggufs.length} GGUF files: ${shown.join(", ")}`,
      `Give the path of one, such as ${join(folder, ggufs[0]!)}`,
    );
  }
  const shards = names.filter((name) => /-\d{5}-of-\d{5}\.(?:safetensors|bin)$/i.test(name));
  if (shards.length > 0) {
    const index = shards.some((name) => /bin$/i.test(name))
      ? "pytorch_model.bin.index.json"
      : "model.safetensors.index.json";
    return new CheckpointError(
      { file: folder },
      `the folder holds ${shards.length} files of a checkpoint, but not the index that lists them`,
      `Download ${index} into it.`,
    );
  }
  if (names.some((name) => name.startsWith("adapter_model."))) {
    return new CheckpointError(
      { file: folder },
      "the folder holds a LoRA adapter and not the model that it belongs to",
      "Merge it into its model (merge_and_unload() of peft) and save that.",
    );
  }
  return new CheckpointError(
    { file: folder },
    "the folder has no model.safetensors, pytorch_model.bin, index of either, or consolidated.00.pth",
    "Give a folder in Hugging Face's or Meta's layout, one with a GGUF file, or a file.",
  );
}
