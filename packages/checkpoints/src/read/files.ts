// Files that lie beside one another and make a checkpoint or a tokenizer: in a folder of a disk, behind a URL, among
// those that a user chose. Whatever opens a checkpoint knows them by their names alone.

import { CheckpointError, parseJson } from "@polyllama/core";
import { mostJsonValues } from "../json.ts";
import { type ByteSource, readAll } from "./sources/byte-source.ts";
import { refuseStandIn } from "./sources/stand-in.ts";

/** A place with files; names are relative to it, with `/` between their parts. */
export interface Files {
  /** What was given, for errors: a path, a URL. */
  readonly name: string;
  /** Name of the file that was given; undefined for a folder. */
  readonly given: string | undefined;
  /** What errors call the folder. */
  readonly folder: string;
  /** Whether paths are those of a disk, so that the files can be copied later. */
  readonly isLocal: boolean;
  /** Names of what there is, or of what is in a folder within; undefined where nobody can list it, as behind a URL. */
  list(within?: string): Promise<readonly string[] | undefined>;
  /** The path or URL of a file. */
  pathOf(name: string): string;
  /**
   * A file; undefined where there is none. The caller closes it.
   *
   * @throws {CheckpointError} where it cannot be opened
   */
  open(name: string): Promise<ByteSource | undefined>;
}

/** A file; undefined where there is none. @throws {CheckpointError} where something else lies in its place */
export async function openGenuine(files: Files, name: string, signal?: AbortSignal): Promise<ByteSource | undefined> {
  const source = await files.open(name);
  try {
    if (source !== undefined) await refuseStandIn(source, signal);
    return source;
  } catch (error) {
    await source?.close();
    throw error;
  }
}

/** A small file as a whole; undefined where there is none. @throws {CheckpointError} */
export async function readWhole(
  files: Files,
  name: string,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const source = await openGenuine(files, name, signal);
  try {
    return source && (await readAll(source, signal));
  } finally {
    await source?.close();
  }
}

/** What a JSON file holds; undefined where there is none. @throws {CheckpointError} */
export async function readJson(files: Files, name: string, signal?: AbortSignal): Promise<unknown> {
  const bytes = await readWhole(files, name, signal);
  return bytes && parseJson(new TextDecoder().decode(bytes), files.pathOf(name), mostJsonValues);
}

/** The file of that name, else the one that is spelled in other capitals. */
export function spelled(name: string, names: readonly string[]): string | undefined {
  return names.find((other) => other === name) ?? names.find((other) => other.toLowerCase() === name.toLowerCase());
}

/** Refuses a file that is not there. @throws {CheckpointError} */
export function missing(file: string): never {
  throw new CheckpointError({ file }, "there is no such file", "Check the path.");
}
