// What is asked of the files behind a path.

import type { OpenOptions } from "../../open.ts";
import type { ByteSource } from "../sources/byte-source.ts";

/** Options of what has a path. */
export interface PathOptions extends Omit<OpenOptions, "tokenizer" | "keep" | "inMemory" | "sha256"> {
  readonly tokenizer?: string;
}

export type Opener = (path: string) => Promise<ByteSource>;
