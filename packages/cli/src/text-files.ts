// Text files as lines, and small files that appear whole or not at all.

import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, rename, rm, stat, writeFile } from "node:fs/promises";
import type { Progress } from "polyllama";
import { UsageError } from "./exit.ts";
import { notUtf8 } from "./text-input.ts";

/**
 * Lines of files in UTF-8, one file after the other, without their ends. Only line feeds end lines, alone or after a
 * carriage return.
 */
export async function* textLines(
  paths: readonly string[],
  signal: AbortSignal,
  onProgress?: (progress: Progress) => void,
): AsyncGenerator<string> {
  let total = 0;
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || found.isDirectory()) throw new UsageError(`${path} is no file that can be read`);
    total += found.size;
  }
  let done = 0;
  for (const path of paths) {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let [before, at]: readonly [Uint8Array, number] = [new Uint8Array(), 0];
    const decode = (bytes?: Uint8Array): string => {
      try {
        return decoder.decode(bytes, { stream: bytes !== undefined });
      } catch {
        const near = Buffer.concat([before, bytes ?? new Uint8Array()]);
        throw notUtf8(path, near, at - before.length);
      }
    };
    let rest = "";
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18, signal })) {
      const bytes: Uint8Array = chunk;
      const lines = (rest + decode(bytes)).split("\n");
      rest = lines.pop() ?? "";
      [before, at] = [characterStart(bytes), at + bytes.length];
      for (const line of lines) yield withoutReturn(line);
      done += bytes.length;
      onProgress?.({ phase: "reading", done, total });
      signal.throwIfAborted();
    }
    rest += decode();
    if (rest !== "") yield withoutReturn(rest);
  }
}

/** The last bytes, from where a character begins. */
function characterStart(bytes: Uint8Array): Uint8Array {
  const last = bytes.slice(-4);
  let start = last.length - 1;
  while (start > 0 && ((last[start] ?? 0) & 0xc0) === 0x80) start--;
  return last.slice(Math.max(0, start));
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

/** Refuses a file that exists, unless it may be replaced. @throws {UsageError} */
export async function checkOutput(path: string, overwrite = false): Promise<void> {
  if (overwrite) return;
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists) throw new UsageError(`${path} exists already; give another name, or --overwrite`);
}

/** Writes a file under another name first. */
export async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.partial`;
  try {
    await writeFile(temporary, content, { flag: "wx", flush: true });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
