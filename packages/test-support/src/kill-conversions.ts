// Kills a conversion at random moments and looks at what it leaves: a test with a small model, and by hand, as
// `npm run kill:convert`, with a large one.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { compareCheckpoints, openCheckpoint, targetFormats, writeGguf, writeSafetensors } from "polyllama";

export interface KillOptions {
  /** What makes Node run the program `polyllama`, before its own arguments. */
  readonly program: readonly string[];
  readonly source: string;
  readonly format: string;
  readonly times: number;
  /** Longest time between the first byte written and the kill, in milliseconds. */
  readonly within: number;
  /** Folder to work in. */
  readonly folder: string;
}

/**
 * Converts `source` again and again, into a GGUF file or a folder in turn, and kills the program each time. Afterwards
 * nothing that lies there may load, unless it is the whole model; and one more run must clean up, say so, and succeed.
 *
 * @returns what went wrong, and how often the program was killed while it was writing.
 */
export async function killConversions(options: KillOptions): Promise<{ problems: string[]; killed: number }> {
  const { program, source, format, times, within } = options;
  const folder = await mkdtemp(join(options.folder, "kill-"));
  const problems: string[] = [];
  let killed = 0;
  try {
    for (let round = 0; round < times; round++) {
      const isFolder = round % 2 === 1;
      const name = isFolder ? "folder" : "model.gguf";
      const target = join(folder, name);
      const args = ["convert", source, target, "--format", isFolder ? "bf16" : format, "--shard-size", "8MB"];
      const moment = await killWhileWriting([...program, ...args, "--overwrite"], folder, within);
      if (moment !== undefined) killed++;
      for (const left of await loadable(folder)) {
        const error = await differences(source, left, isFolder ? "bf16" : format);
        if (error !== undefined) problems.push(`killed after ${moment?.toFixed(0)} ms: ${left} loads, and ${error}`);
      }
      const leftovers = (await readdir(folder)).filter((entry) => entry.endsWith(".partial"));
      const notes = await convert(source, target, isFolder ? "bf16" : format);
      if (notes.length < leftovers.length) problems.push(`leftovers are not mentioned: ${leftovers.join(", ")}`);
      const names = (await readdir(folder)).filter((entry) => /\.(partial|replaced)$/.test(entry));
      if (names.length > 0) problems.push(`left behind by the run that succeeded: ${names.join(", ")}`);
      const [whole] = await loadable(folder);
      const error =
        whole === undefined ? "there is nothing" : await differences(source, whole, isFolder ? "bf16" : format);
      if (error !== undefined) problems.push(`after the next run: ${error}`);
      for (const entry of await readdir(folder)) await rm(join(folder, entry), { recursive: true });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { problems, killed };
}

/** The same conversion undisturbed, in this process; returns what it has to say. */
async function convert(source: string, target: string, format: string): Promise<string[]> {
  const notes: string[] = [];
  await using checkpoint = await openCheckpoint(source);
  const write = target.endsWith(".gguf") ? writeGguf : writeSafetensors;
  const known = targetFormats.find((name) => name === format);
  const options = { shardBytes: 8e6, overwrite: true, onNote: (text: string) => notes.push(text) };
  await write(target, checkpoint, { ...options, ...(known !== undefined && { format: known }) });
  return notes;
}

/** Runs Node and kills it up to `within` ms after its first file appears. Undefined when it was faster. */
async function killWhileWriting(args: readonly string[], folder: string, within: number): Promise<number | undefined> {
  const child = spawn(process.execPath, [...args], { stdio: "ignore", timeout: 600_000 });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const isWriting = async () => (await readdir(folder)).length > 0;
  while (child.exitCode === null && !(await isWriting())) await new Promise((resolve) => setTimeout(resolve, 2));
  const moment = Math.random() * within;
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, moment))]);
  const alive = child.exitCode === null;
  child.kill("SIGKILL");
  await ended;
  return alive ? moment : undefined;
}

/** What can be opened of all that lies in the folder, temporary files and folders included. */
async function loadable(folder: string): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  const inFolders = await Promise.all(
    entries
      .filter((e) => e.isDirectory())
      .map(async (e) => (await readdir(join(folder, e.name))).map((n) => join(e.name, n))),
  );
  const files = [...entries.map((entry) => entry.name), ...inFolders.flat()];
  for (const name of files.filter((name) => !name.endsWith(".json") && !name.endsWith(".model"))) {
    const path = join(folder, name);
    if (!existsSync(path)) continue;
    try {
      await using _ = await openCheckpoint(path);
      found.push(path);
    } catch {
      // this is what shall happen
    }
  }
  return found;
}

/** Why the file does not hold the source's model, if it does not. */
async function differences(source: string, path: string, format: string): Promise<string | undefined> {
  await using a = await openCheckpoint(source);
  await using b = await openCheckpoint(path);
  const { tensors, config } = await compareCheckpoints(a, b, { tolerance: format === "bf16" ? 0.01 : 0.1 });
  const wrong = tensors.find(({ agrees }) => !agrees);
  if (wrong !== undefined) return `${wrong.name} has an error of ${wrong.relativeError}`;
  return config.length === 0 ? undefined : `its configuration differs: ${JSON.stringify(config)}`;
}
