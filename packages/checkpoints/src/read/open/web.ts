// Checkpoints where there are no paths: behind URLs, in files that a user chose, in a browser's own storage. Which files belong
// together is known by their names, as on a disk; how they are looked for differs, since servers do not list folders.

import {
  CheckpointError,
  checkOptions,
  checkValue,
  type OptionSchema,
  option,
  PolyllamaError,
  type Progress,
  parseJson,
  type Tokenizer,
  tokenizerFromGguf,
  tokenizerFromJson,
  tokenizerFromLlama2c,
  tokenizerFromSentencePiece,
} from "@polyllama/core";
import type { Checkpoint } from "../../checkpoint.ts";
import { asObject } from "../../json.ts";
import {
  addressOf,
  checkpointLocation,
  isByteSource,
  isBytes,
  isOpenFile,
  type OpenFile,
  tokenizerLocation,
} from "../../location.ts";
import { openGguf } from "../gguf.ts";
import { readGgufHeader } from "../gguf-header.ts";
import { openSafetensors } from "../hugging-face.ts";
import { openLlama2c, readLlama2cHeader } from "../llama2c.ts";
import { recognize } from "../recognize.ts";
import { blobSource } from "../sources/blob.ts";
import { type ByteSource, MOST_WHOLE_BYTES, memorySource, readAll } from "../sources/byte-source.ts";
import { keptSource } from "../sources/kept.ts";
import { refuseStandIn } from "../sources/stand-in.ts";
import { type Sending, urlSource, WithoutRanges } from "../sources/url.ts";
import { wholeSource } from "../sources/whole.ts";
import { openSynthetic, syntheticScheme } from "../synthetic.ts";
import { type TemplateNames, templateFolder, templateName } from "../template-files.ts";
import { huggingFaceTokenizer, readTextFiles } from "../text-files.ts";

/** A file, or the files of a folder. */
export type WebLocation =
  | URL
  | Blob
  | FileSystemFileHandle
  | readonly File[]
  | Uint8Array
  | ArrayBuffer
  | OpenFile
  | ByteSource;

/** The file of a tokenizer. */
export type TokenizerLocation =
  | string
  | URL
  | Blob
  | FileSystemFileHandle
  | Uint8Array
  | ArrayBuffer
  | OpenFile
  | ByteSource;

export interface WebOpenOptions {
  /** The tokenizer's file, in place of the checkpoint's own. */
  readonly tokenizer?: TokenizerLocation;
  /**
   * Download what a URL names into the browser's own storage, and read it from there now and at every later load; default
   * false: weights are read from the server by range requests.
   */
  readonly keep?: boolean;
  /**
   * Read what a URL names whole into memory, for servers without range requests; default false. In a page `keep` does without
   * the memory.
   */
  readonly inMemory?: boolean;
  /** SHA-256 in hexadecimal that the file with the weights must have; needs `keep`, as the whole file is read for it. */
  readonly sha256?: string;
  /**
   * Names of tensors to leave out that Llama does not have and that would be refused, such as an adapter that was merged
   * already; `*` stands for any characters. The checkpoint's `notices` name them.
   */
  readonly ignoreTensors?: readonly string[];
  /** Leave out rows without a token and tokens without a row, whatever their number; default false. */
  readonly fitVocabulary?: boolean;
  /** Files opened so far, or bytes fetched. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export const webOpenOptionTypes: OptionSchema<WebOpenOptions> = {
  tokenizer: tokenizerLocation,
  keep: option.boolean,
  inMemory: option.boolean,
  sha256: option.string,
  fitVocabulary: option.boolean,
  ignoreTensors: option.list(option.string, 'a list of names, such as ["*.lora_*"]'),
  onProgress: option.function,
  signal: option.signal,
};

/**
 * Opens a checkpoint: a GGUF, safetensors or llama2.c file behind a URL, as a `File` or `Blob`, or as a handle of the file
 * system; a folder in Hugging Face's layout as a URL that ends with "/" or as a list of files; or `synthetic://...`.
 *
 * @throws {CheckpointError} naming file, tensor and remedy; {@link PolyllamaError} `ERR_CONFIG`, `ERR_TOKENIZER`,
 * `ERR_OPTION`; the signal's reason when aborted.
 */
export function openWeb(location: string | WebLocation, options: WebOpenOptions = {}): Promise<Checkpoint> {
  return openWebBy(undefined, location, options);
}

/** The same, with requests sent in the given way; undefined: by the global `fetch`. @throws as {@link openWeb}. */
export async function openWebBy(
  doFetch: typeof fetch | undefined,
  location: string | WebLocation,
  options: WebOpenOptions,
): Promise<Checkpoint> {
  checkValue(location, checkpointLocation, "checkpoint", "openCheckpoint()");
  checkOptions(options, webOpenOptionTypes, "openCheckpoint()");
  const { signal } = options;
  signal?.throwIfAborted();
  if (typeof location === "string" && location.startsWith("hf:")) {
    throw new PolyllamaError(
      "ERR_UNSUPPORTED",
      `${location} is fetched in Node only; in a page, give the file's https URL.`,
    );
  }
  if (addressOf(isAddress(location) ? location : "", "checkpoint").startsWith("file:")) {
    throw new PolyllamaError(
      "ERR_UNSUPPORTED",
      `${String(location)}: a page cannot open files by their path; let its user choose the file, and give that.`,
    );
  }
  const isSynthetic = typeof location === "string" && location.startsWith(syntheticScheme);
  for (const name of ["keep", "inMemory"] as const) {
    if (options[name] === true && (isSynthetic || !isAddress(location))) {
      throw new PolyllamaError(
        "ERR_OPTION",
        `${name} is for what a URL names; a file or a synthetic checkpoint is here already.`,
      );
    }
  }
  if (options.keep === true && globalThis.navigator?.storage?.getDirectory === undefined) {
    throw new PolyllamaError(
      "ERR_UNSUPPORTED",
      "keep needs the storage of a page that comes by https or from localhost. Use `inMemory: true`, or download the file and give its path.",
    );
  }
  if (options.sha256 !== undefined && options.keep !== true) {
    throw new PolyllamaError("ERR_OPTION", "sha256 is checked of a URL's file that is kept; set `keep: true`.");
  }
  if (isSynthetic) {
    if (options.tokenizer === undefined) return openSynthetic(location);
    throw new PolyllamaError("ERR_OPTION", "In a page a synthetic checkpoint takes no tokenizer.");
  }
  const sources: ByteSource[] = [];
  const sending: Reading = { ...options, ...(doFetch && { fetch: doFetch }) };
  const { files, path, name, templates } = await resolve(location, sending);
  const reading: Reading = { ...sending, templates: async () => templates };
  const open: Opener = async (name) => {
    const source = await files(name);
    if (source !== undefined) {
      sources.push(source);
      await refuseStandIn(source, options.signal);
    }
    return source;
  };
  try {
    return path === undefined ? await openFolder(name, open, reading) : await openOne(path, name, open, reading);
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

function isAddress(location: unknown): location is string | URL {
  return typeof location === "string" || location instanceof URL;
}

interface Reading extends WebOpenOptions {
  /** Sends the requests. */
  readonly fetch?: typeof fetch;
  readonly templates?: TemplateNames;
}

interface Found {
  readonly files: Opener;
  /** Name of the file that was given; undefined for a folder. */
  readonly path: string | undefined;
  /** What to call it. */
  readonly name: string;
  /** Names of chat templates that there are or may be. */
  readonly templates: readonly string[];
}

/** The source of a name beside the checkpoint, or undefined; the caller closes it. */
type Opener = (name: string) => Promise<ByteSource | undefined>;

/** Names of chat templates that are looked for where a folder cannot be listed: those that llama.cpp and transformers know of. */
const usualTemplates = ["rag", "tool_use"];

/** How files are found by name. */
async function resolve(
  location: string | WebLocation,
  { keep = false, inMemory = false, sha256, onProgress, signal, fetch }: Reading,
): Promise<Found> {
  if (typeof location === "string" || location instanceof URL) {
    const url = new URL(location, globalThis.location?.href);
    const last = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
    const sending: Sending = { signal, ...(fetch && { fetch }) };
    const files: Opener = async (wanted) => {
      const file = wanted === last ? url : new URL(wanted, url);
      if (wanted !== last) file.search = url.search;
      if (inMemory && isWeights(wanted)) return wholeSource(file.href, sending, { onProgress });
      if (!keep || !isWeights(wanted))
        return urlSource(file.href, sending).catch((error: unknown) =>
          wholeFile(file, error, isWeights(wanted), sending),
        );
      const checks = { ...(sha256 && { sha256 }), ...(onProgress && { onProgress }), ...(signal && { signal }) };
      return keptSource(file.href, checks);
    };
    return { files, path: last === "" ? undefined : last, name: url.href, templates: usualTemplates };
  }
  if (isBytes(location) || location instanceof Blob || isByteSource(location)) {
    const source = isBytes(location)
      ? memorySource("the bytes given", viewOf(location))
      : location instanceof Blob
        ? blobSource(location)
        : location;
    return {
      files: async (wanted) => (wanted === source.name ? source : undefined),
      path: source.name,
      name: source.name,
      templates: [],
    };
  }
  if ("getFile" in location) return resolve(await location.getFile(), {});
  if (isOpenFile(location)) {
    throw new PolyllamaError("ERR_UNSUPPORTED", "A file by its number is read in Node only; give a File or Blob.");
  }
  const byName = new Map(location.map((file) => [nameWithin(file), file]));
  // Of several files the one with weights, unless these are several, too, or the folder's own.
  const weights = location.length === 1 ? location : location.filter((file) => isWeights(file.name));
  const only = weights.length === 1 && !byName.has("model.safetensors") ? weights[0]!.name : undefined;
  return {
    files: async (wanted) => (byName.has(wanted) ? blobSource(byName.get(wanted)!) : undefined),
    path: only,
    name: only ?? "the files",
    templates: [...byName.keys()].flatMap((file) => {
      return file.startsWith(inTemplates) ? (templateName(file.slice(inTemplates.length)) ?? []) : [];
    }),
  };
}

const inTemplates = `${templateFolder}/`;

/** What a file of a chosen folder is called: chat templates lie in a folder of their own. */
function nameWithin({ name, webkitRelativePath = "" }: File): string {
  return webkitRelativePath.endsWith(`/${inTemplates}${name}`) ? inTemplates + name : name;
}

function viewOf(bytes: Uint8Array | ArrayBuffer): Uint8Array {
  return "byteOffset" in bytes ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : new Uint8Array(bytes);
}

function isWeights(name: string): boolean {
  return /\.(gguf|safetensors|bin|pth)$/i.test(name) && !name.startsWith("tok");
}

/** Small files are taken whole from servers without range requests; such a server's error stays one for weights. */
async function wholeFile(
  url: URL,
  error: unknown,
  isWeights: boolean,
  sending: Sending,
): Promise<ByteSource | undefined> {
  if (isWeights || !(error instanceof WithoutRanges)) throw error;
  return wholeSource(url.href, sending, { most: MOST_WHOLE_BYTES });
}

async function openOne(path: string, name: string, open: Opener, options: Reading): Promise<Checkpoint> {
  const { signal, tokenizer } = options;
  const source = (await open(path)) ?? missing(name);
  const kind = recognize(await source.read(0, Math.min(64, source.size), signal), source);
  const given = tokenizer === undefined ? undefined : (size: number) => readTokenizer(tokenizer, size, options);
  switch (kind) {
    case "gguf":
      return openGguf(source, given, signal, options.ignoreTensors, options.fitVocabulary);
    case "llama2.c": {
      const header = await readLlama2cHeader(source, signal);
      const { vocabSize } = header.config;
      const found = given ? await given(vocabSize) : await llama2cTokenizer(open, vocabSize, signal);
      return openLlama2c(source, header, found && { tokenizer: found }, options.fitVocabulary);
    }
    case "safetensors":
      return openSafetensors(new Map([[path, source]]), await huggingFaceParts(source.name, open, options), signal);
    case "pytorch":
      throw new CheckpointError(
        { file: source.name },
        "PyTorch's files are read by path only, in Node",
        "Convert it to safetensors or GGUF with `polyllama convert`.",
      );
  }
}

async function openFolder(name: string, open: Opener, options: Reading): Promise<Checkpoint> {
  const { signal } = options;
  const single = await open("model.safetensors");
  if (single !== undefined) {
    const parts = await huggingFaceParts(name, open, options);
    return openSafetensors(new Map([["model.safetensors", single]]), parts, signal);
  }
  const indexName = "model.safetensors.index.json";
  const map = asObject(asObject(await readJson(open, indexName, signal))?.["weight_map"]);
  if (map === undefined) {
    throw new CheckpointError(
      { file: "model.safetensors" },
      "there is neither this file nor an index of several",
      "Give a folder in Hugging Face's layout, or a single file.",
    );
  }
  const entries = Object.entries(map).map(
    ([tensor, file]) => [tensor, typeof file === "string" ? file : JSON.stringify(file)] as const,
  );
  const sources = new Map<string, ByteSource>();
  for (const file of [...new Set(entries.map(([, name]) => name))].sort()) {
    if (/^\.{0,2}$|[\\/:?#\p{Cc}]/u.test(file))
      throw new CheckpointError(
        { file: indexName },
        `${JSON.stringify(file)} is no file's name`,
        "Download the index again.",
      );
    sources.set(file, (await open(file)) ?? missing(file));
  }
  const parts = await huggingFaceParts(name, open, options);
  return openSafetensors(sources, { ...parts, index: { name: indexName, files: new Map(entries) } }, signal);
}

async function huggingFaceParts(name: string, open: Opener, options: Reading) {
  const { tokenizer, signal, ignoreTensors, fitVocabulary } = options;
  const config = (await readJson(open, "config.json", signal)) ?? missing("config.json");
  const read = (file: string) => readWhole(open, file, signal);
  const text = await readTextFiles(read, "", options.templates);
  return {
    name,
    config,
    configName: "config.json",
    ...(ignoreTensors && { ignoreTensors }),
    ...(fitVocabulary && { fitVocabulary }),
    text,
    tokenizer: async (size: number) =>
      tokenizer === undefined
        ? huggingFaceTokenizer(read, size, text, "")
        : { tokenizer: await readTokenizer(tokenizer, size, options) },
  };
}

async function llama2cTokenizer(open: Opener, size: number, signal?: AbortSignal): Promise<Tokenizer | undefined> {
  for (const name of [`tok${size}.bin`, "tokenizer.bin"]) {
    const bytes = await readWhole(open, name, signal);
    if (bytes !== undefined) return tokenizerFromLlama2c(bytes, size, name);
  }
  return undefined;
}

/** A tokenizer of any kind; its content decides which. */
async function readTokenizer(location: TokenizerLocation, size: number, options: Reading): Promise<Tokenizer> {
  const { fetch, signal } = options;
  const { files, path = "", name } = await resolve(location, { ...(fetch && { fetch }), ...(signal && { signal }) });
  const source = (await files(path)) ?? missing(name);
  try {
    const start = await source.read(0, Math.min(16, source.size), signal);
    const text = String.fromCharCode(...start);
    if (text.startsWith("GGUF")) return tokenizerFromGguf((await readGgufHeader(source, signal)).metadata, source.name);
    const bytes = await readAll(source, signal);
    if (text.trimStart().startsWith("{")) {
      return tokenizerFromJson(parseJson(new TextDecoder().decode(bytes), source.name), source.name);
    }
    const isLlama2c = start[1] === 0 && start[2] === 0 && start[3] === 0;
    return isLlama2c ? tokenizerFromLlama2c(bytes, size, source.name) : tokenizerFromSentencePiece(bytes, source.name);
  } finally {
    await source.close();
  }
}

async function readWhole(
  open: Opener,
  name: string,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const source = await open(name);
  return source && readAll(source, signal);
}

async function readJson(open: Opener, name: string, signal?: AbortSignal): Promise<unknown> {
  const bytes = await readWhole(open, name, signal);
  return bytes && parseJson(new TextDecoder().decode(bytes), name);
}

function missing(file: string): never {
  throw new CheckpointError({ file }, "there is no such file", "Check the address; of a folder, give all its files.");
}
