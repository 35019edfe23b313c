// Files that appear whole or not at all. They are written under temporary names in the folder where they will stand,
// made durable, and renamed at the end; a folder is written beside its place and renamed as a whole. What a killed run
// leaves behind is known by its name, which carries the process's number, and removed by the next run. Free space is
// checked before anything is written. Within a file the header comes last, so that a half-written one is nothing that
// anybody could load.

import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  statfs,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError, PolyllamaError } from "@polyllama/core";
import { templateFolder } from "../read/template-files.ts";

export interface OutputOptions {
  /** Bytes that will be written. */
  readonly bytes: number;
  readonly overwrite: boolean;
  /** Files that are read meanwhile and must not be replaced. */
  readonly sources: readonly string[];
  readonly onNote?: ((text: string) => void) | undefined;
}

/** Files under way. Disposing it before `commit` removes them. */
export interface Output extends AsyncDisposable {
  /** Where the file of that name is written for now. */
  temporary(name: string): string;
  /** Lets the files appear under their names. */
  commit(): Promise<void>;
}

/** What this process is writing just now, so that its own files are never taken for leftovers. */
const active = new Set<string>();

/**
 * Files of these names in an existing folder. They appear in this order: the one by which a checkpoint is found comes
 * last.
 *
 * @throws {CheckpointError} when they cannot be written; {@link PolyllamaError} `ERR_OPTION` when one exists already.
 */
export async function outputFiles(folder: string, names: readonly string[], options: OutputOptions): Promise<Output> {
  const targets = names.map((name) => join(folder, name));
  const last = targets.at(-1)!; // callers name at least one file
  const temporaries = new Map(names.map((name, i) => [name, temporaryName(targets[i]!)]));
  const release = claim([...temporaries.values()], last);
  try {
    await readdir(folder); // fails as writing into it would
    for (const path of targets) {
      if (dirname(path) !== join(folder, ".")) await mkdir(dirname(path), { recursive: true });
      await removeLeftovers(path, options);
      await refuseSource(path, options);
      const found = await lstat(path).catch(() => undefined);
      if (found?.isDirectory()) throw new CheckpointError({ file: path }, "this is a folder", "Give another name.");
      if (found !== undefined && !options.overwrite) throw exists(path);
    }
    await checkSpace(folder, options.bytes);
  } catch (error) {
    release();
    throw explainWriting(error, last);
  }
  return {
    temporary: (name) => temporaries.get(name)!, // one of the names it was made for
    async commit() {
      // Of an old set the file by which it is found goes first, so that old and new ones are never loaded together.
      if (names.length > 1) await rm(last, { force: true });
      for (const [index, path] of [...temporaries.values()].entries()) await rename(path, targets[index]!);
      await syncFolder(folder);
    },
    async [Symbol.asyncDispose]() {
      for (const path of temporaries.values()) await rm(path, { force: true }).catch(() => undefined);
      release();
    },
  };
}

/** Files that checkpoints in Hugging Face's layout consist of; a folder with others in it is never replaced. */
const replaceable =
  /^(?:.*\.safetensors|adapter_config\.json|.*\.safetensors\.index\.json|config\.json|generation_config\.json|tokenizer\.model|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|chat_template\.jinja|chat_template\.json|additional_chat_templates(?:\/[^/]*\.jinja)?)$/;

/**
 * A folder that appears as a whole.
 *
 * @throws {CheckpointError}; {@link PolyllamaError} `ERR_OPTION` when there is such a folder with something in it.
 */
export async function outputFolder(location: string, options: OutputOptions): Promise<Output> {
  const path = resolve(location);
  const parent = dirname(path);
  const temporary = temporaryName(path);
  const release = claim([temporary], path);
  try {
    await readdir(parent); // fails as writing into it would
    await removeLeftovers(path, options);
    await refuseSource(path, options);
    const found = await lstat(path).catch(() => undefined);
    if (found !== undefined && !found.isDirectory()) {
      throw new CheckpointError({ file: path }, "this is a file", "Give the name of a folder, or one ending in .gguf.");
    }
    const names = found === undefined ? [] : await contents(path);
    const foreign = names.find((name) => !replaceable.test(name));
    if (names.length > 0 && !options.overwrite) throw exists(path);
    if (foreign !== undefined) {
      throw new CheckpointError(
        { file: path },
        `the folder holds "${foreign}", which is no part of a checkpoint and would be lost`,
        "Move it away, or give another folder.",
      );
    }
    await checkSpace(parent, options.bytes);
    await mkdir(temporary);
  } catch (error) {
    release();
    throw explainWriting(error, path);
  }
  return {
    temporary: (name) => join(temporary, name),
    async commit() {
      await syncFolder(temporary);
      const old = `${path}.${process.pid}.replaced`;
      const isThere = (await lstat(path).catch(() => undefined)) !== undefined;
      if (isThere) await rename(path, old);
      await rename(temporary, path);
      await syncFolder(parent);
      if (isThere) await rm(old, { recursive: true, force: true });
    },
    async [Symbol.asyncDispose]() {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      release();
    },
  };
}

/** Names of files in a folder, and of those in its folder of chat templates. */
async function contents(path: string): Promise<readonly string[]> {
  const names = await readdir(path);
  const templates = names.includes(templateFolder) ? await readdir(join(path, templateFolder)) : [];
  return [...names, ...templates.map((name) => `${templateFolder}/${name}`)];
}

/** Bytes that go to a place of a file. */
export interface Stretch {
  readonly offset: number;
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** Writes a file of tensors, the header at last, and makes it durable. @param size Of the whole; gaps are zeros. */
export async function writeTensors(
  path: string,
  header: Uint8Array,
  stretches: Iterable<Stretch>,
  size: number,
  onBytes: (count: number) => void,
): Promise<void> {
  const file = await open(path, "wx");
  try {
    for (const { offset, pieces } of stretches) {
      let at = offset;
      for await (const bytes of pieces) {
        await writeAll(file, bytes, at);
        at += bytes.length;
        onBytes(bytes.length);
      }
    }
    await file.truncate(size);
    await file.sync(); // before the header, which makes a file of it
    await writeAll(file, header, 0);
    onBytes(header.length);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes a small file as a whole and makes it durable. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content, { flag: "wx", flush: true });
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** What a failed call of the file system means to a user; other errors as they are. */
export function explainWriting(error: unknown, path: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!/^E[A-Z0-9]+$/.test(code) || error instanceof PolyllamaError) return error;
  const remedy = code === "ENOSPC" ? "Free some space on the disk." : "Check the folder and its permissions.";
  return new CheckpointError({ file: path }, `the file cannot be written (${code})`, remedy, { cause: error });
}

function temporaryName(path: string): string {
  return `${resolve(path)}.${process.pid}.partial`;
}

function exists(path: string): PolyllamaError {
  return new PolyllamaError(
    "ERR_OPTION",
    `${path} exists already. Give another name, or allow it to be replaced (overwrite, or --overwrite on the command line).`,
  );
}

/**
 * Takes temporary names for this call alone, until what it returns is called.
 *
 * @throws {CheckpointError} when they are taken.
 */
function claim(names: readonly string[], path: string): () => void {
  if (names.some((name) => active.has(name))) {
    throw new CheckpointError({ file: path }, "another call is writing it now", "Wait for that one.");
  }
  for (const name of names) active.add(name);
  return () => {
    for (const name of names) active.delete(name);
  };
}

async function refuseSource(path: string, { sources }: OutputOptions): Promise<void> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return;
  for (const source of sources) {
    const other = await realpath(source).catch(() => undefined);
    if (other !== real && (other === undefined || dirname(other) !== real)) continue;
    throw new PolyllamaError("ERR_OPTION", `${path} is what is being read; give another name.`);
  }
}

/**
 * Removes what a run that was killed has left beside this path, be it in another number of parts.
 *
 * @throws {CheckpointError} when another process writes there just now.
 */
async function removeLeftovers(path: string, { onNote }: OutputOptions): Promise<void> {
  const folder = dirname(resolve(path));
  const names = await readdir(folder);
  const whole = wholeName(basename(path));
  for (const name of names) {
    const [, own = "", id, kind] = /^(.+)\.(\d+)\.(partial|replaced)$/.exec(name) ?? [];
    if (wholeName(own) !== whole) continue;
    const leftover = join(folder, name);
    if (Number(id) !== process.pid && isRunning(Number(id))) {
      throw new CheckpointError(
        { file: path },
        `process ${id} is writing it now`,
        `Wait for it; if that process is something else, delete ${leftover}`,
      );
    }
    if (kind === "replaced" && !names.includes(own)) {
      await rename(leftover, join(folder, own));
      onNote?.(`Restored ${own}, which a run that was killed had set aside.`);
      continue;
    }
    await rm(leftover, { recursive: true, force: true });
    onNote?.(`Removed ${leftover}, left behind by a run that was killed; starting anew.`);
  }
}

/** The name of a file, or of the one that it is a part of. */
function wholeName(name: string): string {
  return name.replace(/-\d{5}-of-\d{5}(?=\.[a-z]+$)/, "");
}

function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (bytes <= free) return;
  const gigabytes = (count: number): string => `${(count / 1e9).toFixed(count < 1e9 ? 3 : 1)} GB`;
  throw new CheckpointError(
    { file: folder },
    `${gigabytes(bytes)} are to be written, but the disk has only ${gigabytes(free)} left`,
    "Free some space, or write to another disk.",
  );
}

/** Makes new names durable, where the system allows a folder to be synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}
