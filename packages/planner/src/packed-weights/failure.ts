// What goes wrong with the folders of packed weights. Within the cache a failure of the file system is told apart from
// one of the checkpoint, since only the first may be answered by packing somewhere else; to users it is an error whose
// fields say where and why, so that a program can name ways out of its own.

import { PolyllamaError } from "@polyllama/core";

/**
 * `full`: no room; `unwritable`: no permission, read-only, or not a folder; `damaged`: the disk did not keep what was
 * written.
 */
export type PackedWeightsReason = "full" | "unwritable" | "damaged";

/**
 * Packed weights can be kept nowhere: neither in the cache folder, if there is one, nor in the system's temporary
 * folder.
 */
export class PackedWeightsError extends PolyllamaError {
  override readonly name = "PackedWeightsError";
  /** The folder that was tried last. */
  readonly folder: string;
  readonly reason: PackedWeightsReason;
  /** Bytes that the packed weights take. */
  readonly bytes: number;
  /** What is wrong, as sentences without the ways out. */
  readonly problem: string;

  /** @param backend The function whose options name the folder. */
  constructor(backend: string, problem: string, { folder, reason, cause }: FolderFailure, bytes: number) {
    super(
      "ERR_BACKEND",
      `${problem} Free space there, or give ${backend}({ cacheFolder }) a folder that can be written and has ${bytes} bytes free; with ` +
        "cacheFolder: false weights are packed into the system's temporary folder each time, which TMPDIR (on Windows TEMP) names.",
      { cause },
    );
    this.folder = folder;
    this.reason = reason;
    this.bytes = bytes;
    this.problem = problem;
  }
}

/** A folder that cannot be used. Its message is a clause. */
export class FolderFailure extends Error {
  readonly folder: string;
  readonly reason: PackedWeightsReason;

  constructor(folder: string, reason: PackedWeightsReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.folder = folder;
    this.reason = reason;
  }
}

const reasons: Readonly<Record<string, PackedWeightsReason>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EFBIG: "full",
};

/** Does something with files of a folder. @throws {FolderFailure} for errors of the file system. */
export async function inFolder<T>(folder: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    if (!/^E[A-Z0-9]+$/.test(code)) throw cause;
    const reason = reasons[code] ?? "unwritable";
    const message = reason === "full" ? `${folder} is full (${code})` : `${folder} cannot be written to (${code})`;
    throw new FolderFailure(folder, reason, message, { cause });
  }
}
