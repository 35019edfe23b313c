// The folder of packed weights. ONNX Runtime reads weights from a file beside the model in bounded memory, so a checkpoint
// is packed once, into an entry named after everything that determines its bytes, and later loads only read it. An entry
// is written under a temporary name and renamed when whole: processes that fill the same cache do not wait for each other,
// the first to finish wins. Before use an entry's size, manifest and a sample of its pages are checked; one that fails is
// packed again. Without a folder, the file lives in a private temporary one until the program is disposed.

import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { homedir, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { assertFinite, formatBytes, PolyllamaError, type Progress, type WeightSource } from "@polyllama/core";
import { packingVersion } from "./pack/index.ts";
import { type Layout, type PackedMatrix, packedFile } from "./pack/layout.ts";

export interface CacheSettings {
  /** `false`: a private temporary folder. */
  readonly folder: string | false;
  /** Bytes that all entries together may take. */
  readonly limit: number;
  /** Opens a file for writing; tests put failing disks here. */
  readonly openFile?: (path: string) => Promise<PackFile>;
}

/** What packing does with its file. */
export type PackFile = Pick<FileHandle, "write" | "truncate" | "sync" | "close">;

export interface PackedWeights {
  /** Folder that holds the packed file. */
  readonly folder: string;
  /** Whether an entry was there already. */
  readonly reused: boolean;
  /** Gives the entry free for eviction, or removes the private folder. */
  release(): Promise<void>;
}

const manifestFile = "manifest.json";
const pageBytes = 4096;

/** Where packed weights are kept by default. Computed from the home folder alone. */
export function defaultCacheFolder(): string {
  const home = homedir();
  if (process.platform === "darwin") return join(home, "Library", "Caches", "polyllama");
  if (process.platform === "win32") return join(home, "AppData", "Local", "polyllama", "cache");
  return join(home, ".cache", "polyllama");
}

/**
 * Finds the packed weights, or packs them.
 *
 * @throws {CheckpointError} for NaN or infinite weights; {@link PolyllamaError} `ERR_BACKEND` when they cannot be written.
 */
export async function openPackedWeights(
  source: WeightSource,
  layout: Layout,
  settings: CacheSettings,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<PackedWeights> {
  if (settings.folder === false) return packPrivately(source, layout, settings, onProgress, signal);
  const root = settings.folder;
  const key = await entryKey(source, layout);
  const entry = join(root, key);

  const existing = await useEntry(entry, layout);
  if (existing !== undefined) return existing;

  await attempt(root, layout.bytes, () => mkdir(root, { recursive: true }));
  await removeStale(root);
  const temporary = join(root, `tmp-${hostname()}-${process.pid}-${counter()}`);
  try {
    await attempt(root, layout.bytes, () => mkdir(temporary));
    await attempt(root, layout.bytes, () =>
      writeEntry(temporary, source, layout, settings.openFile ?? openFile, true, onProgress, signal),
    );
    await publish(temporary, entry, layout);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  const packed = await useEntry(entry, layout);
  if (packed === undefined) {
    throw new PolyllamaError(
      "ERR_BACKEND",
      `The packed weights just written to ${entry} cannot be read back. Check that disk, or give cpu() another cacheFolder.`,
    );
  }
  await evict(root, settings.limit);
  return { ...packed, reused: false };
}

/** Name of an entry: a hash of all that its bytes depend on. */
async function entryKey(source: WeightSource, layout: Layout): Promise<string> {
  const plan = layout.matrices.map(({ format, packer, columns, rows, members, parts }) => [
    format,
    packer.bits,
    columns,
    rows,
    members,
    parts.map(({ array }) => [array.name, array.shape, array.offset, array.length]),
  ]);
  const text = JSON.stringify([packingVersion, await source.fingerprint(), layout.bytes, plan]);
  return createHash("sha256").update(text).digest("hex");
}

let count = 0;
function counter(): string {
  return `${count++}-${Math.random().toString(36).slice(2, 8)}`;
}

async function packPrivately(
  source: WeightSource,
  layout: Layout,
  settings: CacheSettings,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<PackedWeights> {
  const folder = await mkdtemp(join(tmpdir(), `polyllama-${process.pid}-`));
  removeAtExit(folder);
  const release = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    privateFolders.delete(folder);
  };
  try {
    await attempt(tmpdir(), layout.bytes, () =>
      writeEntry(folder, source, layout, settings.openFile ?? openFile, false, onProgress, signal),
    );
  } catch (error) {
    await release();
    throw error;
  }
  return { folder, reused: false, release };
}

/** Private folders of programs that nobody disposed go with the process. */
const privateFolders = new Set<string>();
function removeAtExit(folder: string): void {
  if (privateFolders.size === 0 && !exitHooked) {
    exitHooked = true;
    process.on("exit", () => {
      for (const left of privateFolders) rmSync(left, { recursive: true, force: true });
    });
  }
  privateFolders.add(folder);
}
let exitHooked = false;

// Packing

function openFile(path: string): Promise<PackFile> {
  return open(path, "w");
}

/** About this many bytes of the checkpoint are read at once. */
const chunkBytes = 4 << 20;

async function writeEntry(
  folder: string,
  source: WeightSource,
  layout: Layout,
  openForWriting: (path: string) => Promise<PackFile>,
  durable: boolean,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  let total = 0;
  for (const { format, rows, columns } of layout.matrices) total += formatBytes(format, rows * columns);
  let done = 0;
  const report = (bytes: number): void => {
    done += bytes;
    onProgress?.({ phase: "packing weights", done, total });
  };
  report(0);
  const file = await openForWriting(join(folder, packedFile));
  try {
    await file.truncate(layout.bytes);
    for (const matrix of layout.matrices) await packMatrix(file, source, matrix, report, signal);
    if (durable) await file.sync();
  } finally {
    await file.close();
  }
  if (!durable) return;
  const content = { packingVersion, source: source.name, bytes: layout.bytes, sample: await sample(folder, layout) };
  const manifest = await open(join(folder, manifestFile), "w");
  try {
    await manifest.writeFile(sealed(content));
    await manifest.sync();
  } finally {
    await manifest.close();
  }
}

async function packMatrix(
  file: PackFile,
  source: WeightSource,
  matrix: PackedMatrix,
  report: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const rowBytes = formatBytes(matrix.format, matrix.columns);
  const most = Math.max(1, Math.floor(chunkBytes / rowBytes));
  for (const { weight, firstRow, rows } of matrix.members) {
    for (let first = 0; first < rows; first += most) {
      signal?.throwIfAborted();
      const chunk = Math.min(most, rows - first);
      const bytes = await source.read(weight, { first, count: chunk }, signal);
      assertFinite(source, source.weights.get(weight)!, bytes, first);
      const outputs = matrix.parts.map(({ spec }) => new Uint8Array(chunk * spec.bytesPerRow));
      matrix.packer.pack(bytes, outputs);
      for (const [index, { spec, array }] of matrix.parts.entries()) {
        await writeFully(file, outputs[index]!, array.offset + (firstRow + first) * spec.bytesPerRow);
      }
      report(bytes.length);
    }
  }
}

async function writeFully(file: PackFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

// Entries

/** JSON with a hash of itself, so that a damaged manifest is noticed. */
function sealed(content: object): string {
  const text = JSON.stringify(content);
  return JSON.stringify({ content, seal: createHash("sha256").update(text).digest("hex") });
}

function unsealed(text: string): { readonly bytes?: unknown; readonly sample?: unknown } | undefined {
  try {
    const { content, seal } = JSON.parse(text);
    return createHash("sha256").update(JSON.stringify(content)).digest("hex") === seal ? content : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Hash of a sample of the packed file: the first and last page of every array, and of every mebibyte the first page.
 * Files of up to 64 MiB are hashed whole.
 */
async function sample(folder: string, layout: Layout): Promise<string> {
  const whole = layout.bytes <= 64 << 20;
  const step = whole ? 1 << 20 : pageBytes;
  const pages = new Set<number>();
  if (whole) for (let at = 0; at < layout.bytes; at += step) pages.add(at);
  else {
    for (let at = 0; at < layout.bytes; at += 1 << 20) pages.add(at);
    for (const { parts } of layout.matrices) {
      for (const { array } of parts) {
        pages.add(array.offset);
        pages.add(Math.floor((array.offset + array.length - 1) / pageBytes) * pageBytes);
      }
    }
  }
  const hash = createHash("sha256");
  const buffer = new Uint8Array(step);
  const file = await open(join(folder, packedFile), "r");
  try {
    for (const at of [...pages].sort((a, b) => a - b)) {
      const { bytesRead } = await file.read(buffer, 0, step, at);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

async function valid(entry: string, layout: Layout): Promise<boolean> {
  try {
    const manifest = unsealed(await readFile(join(entry, manifestFile), "utf8"));
    if (manifest === undefined || manifest.bytes !== layout.bytes) return false;
    const { size } = await stat(join(entry, packedFile));
    return size === layout.bytes && manifest.sample === (await sample(entry, layout));
  } catch {
    return false; // whatever cannot be read is packed again
  }
}

/** Marks an entry as in use, then checks it. `undefined`: there is none that can be used. */
async function useEntry(entry: string, layout: Layout): Promise<PackedWeights | undefined> {
  const marker = join(entry, `use-${hostname()}-${process.pid}-${counter()}`);
  try {
    await (await open(marker, "w")).close();
  } catch {
    // A folder that is not there fails the check below; in one that is read-only nothing is evicted either.
  }
  const release = (): Promise<void> => rm(marker, { force: true });
  if (await valid(entry, layout)) {
    const now = new Date();
    await utimes(join(entry, manifestFile), now, now).catch(() => undefined); // least recently used goes first
    return { folder: entry, reused: true, release };
  }
  await release().catch(() => undefined);
  return undefined;
}

/** Renames a finished entry into place, unless another process was faster. */
async function publish(temporary: string, entry: string, layout: Layout): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await rename(temporary, entry);
      return;
    } catch (error) {
      if (await valid(entry, layout)) return;
      if (tries === 3) throw error;
      await setAside(entry); // something damaged stands there
    }
  }
}

async function setAside(entry: string): Promise<void> {
  const aside = join(entry, "..", `tmp-${hostname()}-${process.pid}-${counter()}`);
  await rename(entry, aside).catch(() => undefined); // another process may have done so
  await rm(aside, { recursive: true, force: true });
}

/** Removes the least recently used entries until the rest fits, never one in use. */
async function evict(root: string, limit: number): Promise<void> {
  const entries: { readonly path: string; readonly bytes: number; readonly used: number }[] = [];
  for (const name of await readdir(root)) {
    if (!/^[0-9a-f]{64}$/.test(name)) continue;
    const path = join(root, name);
    try {
      const [data, manifest] = [await stat(join(path, packedFile)), await stat(join(path, manifestFile))];
      entries.push({ path, bytes: data.size, used: manifest.mtimeMs });
    } catch {
      // Another process is removing it.
    }
  }
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { path, bytes } of entries.sort((a, b) => a.used - b.used)) {
    if (total <= limit) return;
    if (await inUse(path)) continue;
    await setAside(path);
    total -= bytes;
  }
}

async function inUse(entry: string): Promise<boolean> {
  for (const name of await readdir(entry).catch(() => [])) {
    if (!name.startsWith("use-")) continue;
    if (await alive(name, join(entry, name))) return true;
    await rm(join(entry, name), { force: true });
  }
  return false;
}

/** Removes what packing left behind when its process died. */
async function removeStale(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (name.startsWith("tmp-") && !(await alive(name, join(root, name)))) {
      await rm(join(root, name), { recursive: true, force: true });
    }
  }
}

/** Whether the process named in a file's name, `kind-host-pid-...`, still runs; of other hosts, whether it may. */
async function alive(name: string, path: string): Promise<boolean> {
  const here = `${hostname()}-`;
  const rest = name.slice(name.indexOf("-") + 1);
  if (rest.startsWith(here)) {
    try {
      process.kill(Number.parseInt(rest.slice(here.length), 10), 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM"; // kill throws system errors only
    }
  }
  const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0);
  return age < 7 * 24 * 3600 * 1000;
}

/** Turns failures of the file system into errors that name the folder, the size and the ways out. */
async function attempt<T>(folder: string, bytes: number, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const waysOut =
      "Free space there, choose another folder with cpu({ cacheFolder }), or use cpu({ cacheFolder: false }) to pack " +
      `into the system's temporary folder (${tmpdir()}) each time.`;
    if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
      throw new PolyllamaError("ERR_BACKEND", `${folder} is full: the packed weights take ${bytes} bytes. ${waysOut}`, {
        cause,
      });
    }
    if (code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "ENOTDIR" || code === "EEXIST") {
      throw new PolyllamaError(
        "ERR_BACKEND",
        `The packed weights (${bytes} bytes) cannot be written to ${folder} (${code}). ${waysOut}`,
        { cause },
      );
    }
    throw cause;
  }
}
