// Pages of packed weights, as all threads of the library read and check them, or make their checksums.

import { checksumDigits, checksumText } from "@polyllama/planner/packed-weights";
import type { Machine } from "../machine.ts";
import { encodeRun, encodeSteps, runBytes } from "../native/encode.ts";
import type { Arena } from "../native/engine.ts";
import { stepBytes } from "../native/structs.ts";
import { pageBytes } from "./content.ts";

/** Pages of a run: between runs progress is reported, and steps of programs are computed. */
const pagesAtOnce = 32;
const headBytes = Math.ceil((runBytes + stepBytes) / 64) * 64;

interface PageOptions {
  /** Descriptor of the file that they are read from; absent where they are in memory. */
  readonly file?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that are done. */
  readonly onBytes?: (done: number) => void;
}

/**
 * Reads weights into memory and compares each page with its checksum.
 *
 * @returns What is wrong, as a clause. @throws the signal's reason
 */
export async function checkPages(
  machine: Machine,
  arena: Arena,
  checksums: string,
  options: PageOptions,
): Promise<string | undefined> {
  const pages = Math.ceil(arena.bytes / pageBytes);
  if (checksums.length !== pages * checksumDigits || !/^[0-9a-f]*$/.test(checksums)) return "the checksums are damaged";
  using told = machine.allocate(headBytes + 8 * pages, "checksums");
  const view = told.view();
  for (let page = 0; page < pages; page++) {
    const digits = checksums.slice(page * checksumDigits, (page + 1) * checksumDigits);
    view.setBigUint64(headBytes + 8 * page, BigInt(`0x${digits}`), true);
  }
  const damaged = await runPages(machine, arena, told, 0, options);
  if (damaged === undefined) return undefined;
  return `the bytes from ${damaged * pageBytes} on cannot be read, or do not match their checksum`;
}

/** The checksums of all pages, one behind the other. */
export async function sumPages(machine: Machine, arena: Arena): Promise<string> {
  const pages = Math.ceil(arena.bytes / pageBytes);
  using told = machine.allocate(headBytes + 8 * pages, "checksums");
  await runPages(machine, arena, told, 1, {});
  const view = told.view();
  const sums = Array.from({ length: pages }, (_, page) => view.getBigUint64(headBytes + 8 * page, true));
  return sums.map(checksumText).join("");
}

/** @returns a page that was found damaged */
async function runPages(
  machine: Machine,
  arena: Arena,
  told: Arena,
  sum: 0 | 1,
  { file, signal, onBytes }: PageOptions,
): Promise<number | undefined> {
  const pages = Math.ceil(arena.bytes / pageBytes);
  for (let firstPage = 0; firstPage < pages; firstPage += pagesAtOnce) {
    const rows = Math.min(pagesAtOnce, pages - firstPage);
    const step = {
      rows,
      to: arena.ref,
      bytes: BigInt(arena.bytes),
      checksums: told.ref + BigInt(headBytes),
      file: file === undefined ? 0 : file + 1,
      sum,
      firstPage,
    };
    encodeSteps(told.view(), runBytes, [["read", step]]);
    encodeRun(told.view(), 0, { steps: told.ref + BigInt(runBytes), stepCount: 1 });
    const { unread } = await machine.run(told.ref, signal);
    if (unread !== undefined) return unread;
    onBytes?.(Math.min(arena.bytes, (firstPage + rows) * pageBytes));
  }
  return undefined;
}
