// One process at a time trains in a folder. A lock is a file with the process's number; that of a process which is gone,
// killed say, is nobody's.

import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PolyllamaError } from "@polyllama/core";
import { codeOf, isRunning } from "./files.ts";

/** Locks of this process. */
const held = new Set<string>();

/**
 * Takes the folder for this process until it is disposed.
 *
 * @throws {PolyllamaError} `ERR_BUSY` where another run has it.
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const path = join(folder, "run.lock");
  const busy = (id: number): PolyllamaError => {
    const remedy = `Wait for it; if that process is something else, delete ${path}.`;
    return new PolyllamaError("ERR_BUSY", `${folder}: process ${id} is training in it now. ${remedy}`);
  };
  if (held.has(path)) throw busy(process.pid);
  held.add(path);
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        await writeFile(path, String(process.pid), { flag: "wx" });
        break;
      } catch (error) {
        if (codeOf(error) !== "EEXIST" || attempt > 0) throw error;
        const id = Number(await readFile(path, "utf8").catch(() => ""));
        if (id > 0 && id !== process.pid && isRunning(id)) throw busy(id);
        await rm(path, { force: true });
      }
    }
  } catch (error) {
    held.delete(path);
    throw error;
  }
  return {
    async [Symbol.asyncDispose]() {
      held.delete(path);
      await rm(path, { force: true });
    },
  };
}
