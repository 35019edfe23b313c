// Checkpoints from the hub: which files a repository has (the hub's own client library asks), which of them make the
// checkpoint that is wanted, and those of them that the cache lacks. When the hub cannot be reached, what the cache has
// is used, and said so.

import { mkdir, statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { checkOptions, checkValue, option, PolyllamaError, type Progress } from "@polyllama/core";
import { environmentFetch, throughProxy } from "../read/sources/proxy.ts";
import { type HubAddress, isRelativePath, parseHubAddress } from "./address.ts";
import {
  cachedCommit,
  cachedFiles,
  folderError,
  linkIntoSnapshot,
  type RepositoryCache,
  repositoryCache,
  sizeOf,
  writeRef,
} from "./cache.ts";
import { amount, chooseCheckpoint, findCheckpoints, type HubCheckpoint } from "./choose.ts";
import { download, type HubFile } from "./download.ts";
import { defaultEndpoint, defaultHubCache, isOffline, savedToken } from "./environment.ts";
import { takeLock } from "./lock.ts";
import { type PullOptions, pullOptionTypes } from "./options.ts";
import { clientFetch, type TransportSettings, Unreachable } from "./transport.ts";

/** A checkpoint that lies in the cache whole. */
export interface Pulled {
  /** For `openCheckpoint`: a file or a folder. */
  readonly path: string;
  readonly commit: string;
  readonly checkpoint: HubCheckpoint;
  /** Why this one was chosen, as a sentence. */
  readonly reason: string;
}

/** What a repository has. */
export interface HubListing {
  readonly repository: string;
  readonly commit: string;
  readonly checkpoints: readonly (HubCheckpoint & { readonly fits: boolean; readonly cached: boolean })[];
}

/**
 * Fetches a checkpoint into the cache, unless it is there, and returns where it lies.
 *
 * @param address `hf:owner/name[:file][@revision]`; the scheme may be left out. `file` is a path, a folder, a format
 * (`safetensors`) or a GGUF type (`Q4_K_M`). Without one, the checkpoint that suits the memory is chosen.
 * @throws {PolyllamaError} `ERR_OPTION`, `ERR_HUB`; the signal's reason, after which a later call continues.
 */
export async function pull(address: string, options: PullOptions = {}): Promise<Pulled> {
  const context = await prepare(address, options, "pull()");
  const { cache, wanted, note, memory } = context;
  const listing = await list(context);
  const where = `${wanted.repository}${listing.files === undefined ? " in the cache" : ""}`;
  const files = listing.files ?? (await cachedFiles(cache, listing.commit));
  const { checkpoint, reason } = chooseCheckpoint(files, wanted.file, memory, where);
  note(reason);
  if (listing.files !== undefined) {
    await fetchMissing(checkpoint, listing.commit, listing.files, context, options.onProgress).catch(
      (error: unknown) => {
        throw folderError(error, context.cacheFolder);
      },
    );
    await writeRef(cache, wanted.revision, listing.commit).catch((error: unknown) => {
      note(`Which commit ${wanted.revision} means could not be noted for use offline: ${error}`); // all files are there
    });
  }
  const path = join(cache.snapshot(listing.commit), ...checkpoint.location.split("/"));
  return { path, commit: listing.commit, checkpoint, reason };
}

/** Lists the checkpoints of a repository; fetches nothing. @throws as {@link pull}. */
export async function listHub(address: string, options: Omit<PullOptions, "onProgress"> = {}): Promise<HubListing> {
  const context = await prepare(address, options, "listHub()");
  const { cache, wanted, memory } = context;
  const { commit, files } = await list(context);
  const present = new Map((await cachedFiles(cache, commit)).map(({ path, size }) => [path, size]));
  const checkpoints = findCheckpoints(files ?? (await cachedFiles(cache, commit))).map((each) => ({
    ...each,
    fits: each.memory <= memory,
    cached: each.missing === 0 && each.files.every(({ path, size }) => present.get(path) === size),
  }));
  return { repository: wanted.repository, commit, checkpoints };
}

interface Context {
  readonly wanted: HubAddress;
  readonly cache: RepositoryCache;
  readonly cacheFolder: string;
  readonly settings: TransportSettings;
  readonly offline: boolean;
  readonly memory: number;
  readonly note: (note: string) => void;
  readonly warn: (note: string) => void;
}

async function prepare(address: string, options: PullOptions, where: string): Promise<Context> {
  checkValue(address, { ...option.string, required: true }, "address", where);
  checkOptions(options, pullOptionTypes, where);
  const {
    token = await savedToken(),
    cacheFolder = defaultHubCache(),
    endpoint = defaultEndpoint(),
    offline = isOffline(),
    signal,
    onNote,
  } = options;
  const { timeout = 30_000, retryDelay = 500, memory = machineMemory() } = options;
  if (!/^https?:\/\/[^/]/.test(endpoint)) {
    throw new PolyllamaError("ERR_OPTION", `endpoint must be an http or https URL, not "${endpoint}".`);
  }
  if (token !== undefined && !/^[!-~]+$/.test(token)) {
    throw new PolyllamaError("ERR_OPTION", "The token holds characters that no token has; was it copied whole?");
  }
  const wanted = parseHubAddress(address);
  const note = onNote ?? (() => undefined);
  const settings: TransportSettings = {
    endpoint: endpoint.replace(/\/+$/, ""),
    token,
    repository: wanted.repository,
    revision: wanted.revision,
    timeout,
    retryDelay,
    fetch: options.fetch ?? (await environmentFetch()),
    through: options.fetch === undefined ? throughProxy : () => "",
    onNote: note,
    signal,
  };
  const warn = onNote ?? ((text: string) => process.emitWarning(text));
  const cache = repositoryCache(cacheFolder, wanted.repository);
  return { wanted, cache, cacheFolder, settings, offline, memory, note, warn };
}

/** Physical memory, or less where a container allows less. */
function machineMemory(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}

interface Listing {
  readonly commit: string;
  /** Undefined when the hub was not asked: the cache's own files then are all there is. */
  readonly files: readonly HubFile[] | undefined;
}

async function list(context: Context): Promise<Listing> {
  const { wanted, cache, cacheFolder, settings, offline, warn } = context;
  let reason: string | undefined;
  if (!offline) {
    try {
      return await listOnline(context);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      reason = error.message;
    }
  }
  settings.signal?.throwIfAborted();
  const commit = await cachedCommit(cache, wanted.revision);
  if (commit === undefined || (await cachedFiles(cache, commit)).length === 0) {
    const problem = `${wanted.repository} (${wanted.revision}) is not in the cache ${cacheFolder}`;
    throw new PolyllamaError(
      "ERR_HUB",
      `${problem}. ${reason ?? "Fetch it once without the option `offline` (HF_HUB_OFFLINE)."}`,
    );
  }
  if (reason !== undefined)
    warn(`${reason} Using what the cache has of ${wanted.repository}: commit ${commit.slice(0, 8)}.`);
  return { commit, files: undefined };
}

async function listOnline({ wanted, settings }: Context): Promise<Listing> {
  const { listFiles, modelInfo } = await import("@huggingface/hub"); // large, and of no use to local files
  const common = { hubUrl: settings.endpoint, fetch: clientFetch(settings) };
  const { repository, revision } = wanted;
  const { sha: commit } = await modelInfo({ ...common, name: repository, revision, additionalFields: ["sha"] });
  if (!/^[0-9a-f]{40}$/.test(commit)) throw odd(`"${commit}" as the commit`);
  const files: HubFile[] = [];
  for await (const { type, path, size, oid, lfs } of listFiles({
    ...common,
    repo: { type: "model", name: repository },
    revision: commit,
    recursive: true,
  })) {
    if (type !== "file") continue;
    const hash = lfs?.oid ?? oid ?? "";
    if (!isRelativePath(path)) throw odd(`a file named ${JSON.stringify(path)}`);
    if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash) || !Number.isSafeInteger(size))
      throw odd(`no hash or size of ${path}`);
    files.push({ path, size: lfs?.size ?? size, hash });
  }
  return { commit, files };

  function odd(what: string): PolyllamaError {
    return new PolyllamaError("ERR_HUB", `${settings.endpoint} lists ${what} for ${repository}, which no hub does.`);
  }
}

/** Brings the files of a checkpoint into the snapshot, those that are there already excepted. */
async function fetchMissing(
  { files }: HubCheckpoint,
  commit: string,
  listed: readonly HubFile[],
  { wanted, cache, cacheFolder, settings, note }: Context,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<void> {
  const { repository } = wanted;
  const missing: (HubFile & { readonly present: number })[] = [];
  for (const { path } of files) {
    const file = listed.find((each) => each.path === path)!; // checkpoints are made of listed files
    if ((await sizeOf(join(cache.snapshot(commit), path))) === file.size) continue;
    if ((await sizeOf(cache.blob(file.hash))) === file.size) {
      await linkIntoSnapshot(cache.blob(file.hash), join(cache.snapshot(commit), path));
    } else {
      const present = (await sizeOf(cache.partial(file.hash))) ?? 0;
      missing.push({ ...file, present: present > file.size ? 0 : present });
    }
  }
  const arrived = missing.reduce((sum, { present }) => sum + present, 0);
  const total = missing.reduce((sum, { size }) => sum + size, 0) - arrived;
  if (missing.length === 0) return;
  await checkSpace(cacheFolder, total);
  if (arrived > 0) note(`Continuing after ${amount(arrived)} that an earlier pull fetched.`);

  let before = 0;
  for (const file of missing) {
    const { path, hash, size, present: started } = file;
    const show = (present: number): void => {
      onProgress?.({ phase: `fetching ${repository}`, done: before + Math.max(0, present - started), total });
    };
    show(started);
    const wait = (): void => note(`Another process is fetching ${path}; waiting for it.`);
    await using _ = await takeLock(cache.lock(hash), wait, settings.signal);
    if ((await sizeOf(cache.blob(hash))) !== size) {
      const url = `${settings.endpoint}/${repository}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
      await download(file, { url, blob: cache.blob(hash), partial: cache.partial(hash) }, settings, show);
    }
    await linkIntoSnapshot(cache.blob(hash), join(cache.snapshot(commit), path));
    before += size - started;
    show(started);
  }
}

/** Says before the first byte that they will not all fit. */
async function checkSpace(folder: string, needed: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  if (needed <= bavail * bsize) return;
  throw new PolyllamaError(
    "ERR_HUB",
    `${amount(needed)} are needed and ${amount(bavail * bsize)} are free in ${folder}. Free some space, or choose another ` +
      "folder with the option `cacheFolder` (on the command line --hub-cache).",
  );
}
