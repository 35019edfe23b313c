// A fault planted in the C++ of `native`, and the programs of its `test` folder that are asked.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "../native-checks.ts";
import { nativeFolder } from "../targets.ts";

export interface NativeFault {
  readonly id: string;
  /** Within `native`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** What is wrong, as one would report it. */
  readonly what: string;
  /** Asked in this order. */
  readonly checks: readonly Check[];
  /** Formats of weights that kernels are compiled for, as they take the most time; none but f32 without it. */
  readonly formats?: readonly string[];
}

/** The file with the fault in it. @throws {Error} when `find` does not occur exactly once. */
export function planted(fault: NativeFault): string {
  const parts = readFileSync(join(nativeFolder, fault.file), "utf8").split(fault.find);
  if (parts.length !== 2) {
    throw new Error(
      `${fault.id}: the text to replace occurs ${parts.length - 1} times in native/${fault.file}, not once; ` +
        "the sources have changed, so write the patch anew.",
    );
  }
  return parts.join(fault.replace);
}
