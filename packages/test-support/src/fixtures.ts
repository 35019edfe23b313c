// Small files of tokenizers that tests of several packages read.

import { fileURLToPath } from "node:url";

/** Path of a fixture. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}
