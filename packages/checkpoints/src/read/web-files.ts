// Files where there are no paths: behind a URL, among those that a user chose, one alone. Servers do not list folders,
// so what is behind a URL is known by its name.

import { PolyllamaError, type Progress } from "@polyllama/core";
import type { Files } from "./files.ts";
import { blobSource } from "./sources/blob.ts";
import { type ByteSource, memorySource, mostWholeBytes } from "./sources/byte-source.ts";
import { keptSource } from "./sources/kept.ts";
import { type Sending, urlSource, WithoutRanges } from "./sources/url.ts";
import { wholeSource } from "./sources/whole.ts";
import { templateFolder } from "./template-files.ts";

/** How what a URL names is fetched; the options of `openCheckpoint` say what each means. */
export interface Fetching extends Sending {
  readonly keep?: boolean;
  readonly inMemory?: boolean;
  readonly sha256?: string;
  readonly onProgress?: (progress: Progress) => void;
}

/** What stands beside a URL, which names a file, or a folder where it ends with "/". */
export function filesBehind(location: string | URL, fetching: Fetching): Files {
  const { keep = false, inMemory = false, sha256, onProgress, signal, fetch } = fetching;
  const url = new URL(location, globalThis.location?.href);
  const last = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
  const sending: Sending = { signal, ...(fetch && { fetch }) };
  const pathOf = (name: string): string => {
    const file = name === last ? url : new URL(name, url);
    if (name !== last) file.search = url.search;
    return file.href;
  };
  return {
    name: url.href,
    given: last === "" ? undefined : last,
    folder: new URL(".", url).href,
    isLocal: false,
    list: async () => undefined,
    pathOf,
    async open(name) {
      const file = pathOf(name);
      if (!isWeights(name)) return smallFile(file, sending);
      if (inMemory) return wholeSource(file, sending, { onProgress });
      if (!keep) return urlSource(file, sending);
      const checks = { ...(sha256 && { sha256 }), ...(onProgress && { onProgress }), ...(signal && { signal }) };
      return keptSource(file, checks);
    },
  };
}

/** By ranges where the server has them, else whole. */
async function smallFile(url: string, sending: Sending): Promise<ByteSource | undefined> {
  try {
    return await urlSource(url, sending);
  } catch (error) {
    if (!(error instanceof WithoutRanges)) throw error;
    return wholeSource(url, sending, { most: mostWholeBytes });
  }
}

/** Files that a user chose, one by one or as a folder. */
export function filesChosen(chosen: readonly File[]): Files {
  const byName = new Map(chosen.map((file) => [nameWithin(file), file]));
  const names = [...byName.keys()];
  // Of several files the one with weights, unless these are several, too, or the folder's own.
  const weights = chosen.length === 1 ? names : names.filter(isWeights);
  const only = weights.length === 1 && !byName.has("model.safetensors") ? weights[0] : undefined;
  return {
    name: only ?? "the files",
    given: only,
    folder: "the files",
    isLocal: false,
    async list(within) {
      if (within === undefined) return names.filter((name) => !name.includes("/"));
      const start = `${within}/`;
      return names.filter((name) => name.startsWith(start)).map((name) => name.slice(start.length));
    },
    pathOf: (name) => name,
    async open(name) {
      const file = byName.get(name);
      return file && blobSource(file);
    },
  };
}

/** What a file of a chosen folder is called: chat templates lie in a folder of their own. */
function nameWithin({ name, webkitRelativePath = "" }: File): string {
  const inFolder = `${templateFolder}/${name}`;
  return webkitRelativePath.endsWith(`/${inFolder}`) ? inFolder : name;
}

/** One file that has nothing beside it. */
export function fileAlone(source: ByteSource): Files {
  const { name } = source;
  return {
    name,
    given: name,
    folder: name,
    isLocal: false,
    list: async (within) => (within === undefined ? [name] : []),
    pathOf: (wanted) => wanted,
    open: async (wanted) => (wanted === name ? source : undefined),
  };
}

/** The bytes of a file. */
export function bytesAlone(bytes: Uint8Array | ArrayBuffer): Files {
  const view =
    "byteOffset" in bytes ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : new Uint8Array(bytes);
  return fileAlone(memorySource("the bytes given", view));
}

/** @throws {PolyllamaError} where `keep` and `sha256` cannot be honoured here */
export function checkFetching({ keep, sha256 }: Fetching): void {
  if (keep === true && globalThis.navigator?.storage?.getDirectory === undefined) {
    throw new PolyllamaError(
      "ERR_UNSUPPORTED",
      "keep needs the storage of a page that comes by https or from localhost. Use `inMemory: true`, or download the file and give its path.",
    );
  }
  if (sha256 !== undefined && keep !== true) {
    throw new PolyllamaError("ERR_OPTION", "sha256 is checked of a URL's file that is kept; set `keep: true`.");
  }
}

function isWeights(name: string): boolean {
  return /\.(gguf|safetensors|bin|pth)$/i.test(name) && !name.startsWith("tok");
}
