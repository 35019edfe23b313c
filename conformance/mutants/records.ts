// Which functions each test file calls, and how long it takes. Kept from run to run in a folder that git ignores: a
// test file whose text has changed is recorded anew.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Verdict } from "./judge.ts";
import { repository } from "./tree.ts";

export interface TestRecord extends Verdict {
  /** Hash of the test file. */
  readonly text: string;
}

const folder = join(repository, "node_modules", ".cache", "polyllama-mutants");

const hash = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex").slice(0, 16);

const pathOf = (test: string): string => join(folder, `${test.replaceAll("/", "__")}.json`);

const textHash = (test: string): string => hash(readFileSync(join(repository, test)));

/** The record of a test file as it is now, if there is one. */
export function readRecord(test: string): TestRecord | undefined {
  try {
    const record: TestRecord = JSON.parse(readFileSync(pathOf(test), "utf8"));
    return record.text === textHash(test) ? record : undefined;
  } catch {
    return undefined;
  }
}

export function keepRecord(test: string, verdict: Verdict): TestRecord {
  const record = { ...verdict, text: textHash(test) };
  mkdirSync(folder, { recursive: true });
  writeFileSync(pathOf(test), JSON.stringify(record));
  return record;
}

/**
 * Whether the test file calls a function of a file, or, without one, anything in it; "loads" where it only loads the
 * file.
 */
export function calls({ called }: TestRecord, file: string, name: string | undefined): boolean | "loads" {
  const names = called?.[file];
  if (names === undefined) return false;
  if (name === undefined) return names.length > 0 ? true : "loads";
  return names.includes(name);
}
