// What readers of files find, from which a checkpoint is made: where each tensor lies, and what was said about it.

import type { FormatName, LlamaConfig, TextSetup, Tokenizer, WeightCut, WeightInfo, WeightName } from "@polyllama/core";
import type { CheckpointKind, StoredTensor } from "../checkpoint.ts";
import type { ByteSource } from "./sources/byte-source.ts";

/** Reads rows and columns of a tensor. */
export type CutReader = (info: WeightInfo, cut: WeightCut, signal?: AbortSignal) => Promise<Uint8Array<ArrayBuffer>>;

/** A tensor that a weight is read from. */
export interface TensorPlace {
  /** Name within the file. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: FormatName;
  readonly source: ByteSource;
  /** Its first byte. */
  readonly offset: number;
  /** Whether its rows stand in half-split rotary order (`permute.ts`). */
  readonly halfSplit?: boolean;
  /** Reads a tensor that does not lie in one run of bytes in its own format. */
  readonly read?: CutReader;
}

/** Tensors in files, and what else makes a checkpoint. */
export interface FileCheckpointParts {
  readonly kind: CheckpointKind;
  readonly name: string;
  readonly config: LlamaConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Default: what the tokenizer alone says. */
  readonly text?: TextSetup;
  readonly notices?: readonly string[];
  /** Leave out rows without a token, or tokens without a row, whatever their number. */
  readonly fitVocabulary?: boolean;
  readonly stored: readonly StoredTensor[];
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly places: ReadonlyMap<WeightName, TensorPlace>;
  /** The files, with the length of what precedes their tensors. */
  readonly files: readonly { readonly source: ByteSource; readonly headerBytes: number }[];
}
