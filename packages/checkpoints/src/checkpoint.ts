// What an opened checkpoint is, whatever file it came from: weights under canonical names, the configuration and the
// tokenizer.

import {
  type FormatName,
  type LlamaConfig,
  PolyllamaError,
  type TextSetup,
  type Tokenizer,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";

/** What a checkpoint was opened from. */
export type CheckpointKind = "gguf" | "safetensors" | "pytorch" | "meta" | "llama2.c" | "synthetic";

/** A tensor as its file has it. */
export interface StoredTensor {
  /** Name within the file. */
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** Format; for tensors that are ignored possibly one that is not read here. */
  readonly format: FormatName | (string & {});
  /** Bytes that it takes. */
  readonly bytes: number;
  /** Path or URL of the file. */
  readonly file: string;
}

/** An opened checkpoint. Disposing it closes its files; reads that come later fail. */
export interface Checkpoint extends WeightSource, AsyncDisposable {
  readonly kind: CheckpointKind;
  readonly config: LlamaConfig;
  /** Undefined when the checkpoint came without one. */
  readonly tokenizer: Tokenizer | undefined;
  /** What the checkpoint says about BOS, ends of text, its chat format and sampling. */
  readonly text: TextSetup;
  /** What was accepted with a remark, each a sentence for people: padding rows, for instance. */
  readonly notices: readonly string[];
  /** All tensors of the files, also those that nothing reads. */
  readonly stored: readonly StoredTensor[];
  /**
   * What else the files say: GGUF's metadata by key; of safetensors its `__metadata__`, `config.json` and
   * `tokenizer_config.json` whole under these names; of Meta's files `params.json`; of both the vocabulary of
   * `tokenizer.model` under the keys of GGUF.
   */
  readonly metadata: ReadonlyMap<string, unknown>;
  /**
   * Paths, by name, of files beside the weights that writing another checkpoint carries along: the tokenizer's, for
   * instance.
   */
  readonly companions?: ReadonlyMap<string, string>;
}

/** The weight of that name. @throws {PolyllamaError} `ERR_OPTION` */
export function findWeight(weights: ReadonlyMap<WeightName, WeightInfo>, name: WeightName, source: string): WeightInfo {
  const info = weights.get(name);
  if (info === undefined) throw new PolyllamaError("ERR_OPTION", `${source} has no weight "${name}".`);
  return info;
}
