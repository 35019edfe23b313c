// Which stages are behind a folder: each leaves a file with its command when it has ended well.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Stage } from "./stages.ts";

function recordOf(folder: string, { name }: Stage): string {
  return join(folder, "done", `${name}.json`);
}

function commandOf({ program, arguments: given }: Stage): string {
  return `${JSON.stringify([program, ...given])}\n`;
}

/** Whether a stage has ended. @throws {RangeError} where it was another command's */
export async function isDone(folder: string, stage: Stage): Promise<boolean> {
  const path = recordOf(folder, stage);
  const found = await readFile(path, "utf8").catch(() => undefined);
  if (found === undefined || found === commandOf(stage)) return found !== undefined;
  throw new RangeError(`${path}: the stage "${stage.name}" was run with other settings; give another folder.`);
}

export async function markDone(folder: string, stage: Stage): Promise<void> {
  await mkdir(join(folder, "done"), { recursive: true });
  await writeFile(recordOf(folder, stage), commandOf(stage));
}
