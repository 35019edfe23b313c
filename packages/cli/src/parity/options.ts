// What `polyllama parity` is asked, and what it meets.

import type { Device } from "@polyllama/core/device";
import type { Activations, BackendName, BackendOptions } from "../backends.ts";
import type { HubFlags } from "../hub.ts";

export interface ParityOptions extends HubFlags {
  /** Default: the embedded poet. */
  readonly model?: string;
  readonly tokenizer?: string;
  readonly ignoreTensors?: readonly string[];
  readonly fitVocabulary?: boolean;
  readonly backends: readonly BackendName[];
  /** int8 for cpu and onnxruntime, f16 for cuda, f32 for all of them. */
  readonly activations?: Activations;
  readonly threads?: number;
  readonly text?: string;
  readonly tokens?: number;
  readonly layers?: "all";
  readonly seed: number;
  /** One object on standard output, in place of the tables. */
  readonly json?: boolean;
  /** The same object in a file. */
  readonly jsonFile?: string;
  readonly report?: string;
}

export interface ParityContext {
  readonly signal: AbortSignal;
  /** What makes the backends. */
  readonly createBackend: (options: BackendOptions) => Promise<Device>;
}
