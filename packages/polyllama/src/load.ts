// From a checkpoint and a backend to a compiled model.

import {
  type Checkpoint,
  checkpointLocation,
  type OpenOptions,
  openCheckpoint,
  openOptionTypes,
  quantized,
  type WebLocation,
} from "@polyllama/checkpoints";
import {
  type Backend,
  checkNumber,
  checkOptions,
  checkValue,
  configForContext,
  type LlamaConfig,
  llamaGraph,
  longestContext,
  OptionError,
  type OptionType,
} from "@polyllama/core";
import { checkFits } from "./memory.ts";
import { isBackend, type LoadOptions, loadOptionTypes } from "./options.ts";
import type { SequenceModel } from "./sequence-model.ts";

/** What `Llama.load` takes: where a checkpoint is, or one that is open. */
export type LoadSource = string | WebLocation | Checkpoint;

/** All that a model consists of. */
export interface Loaded {
  readonly config: LlamaConfig;
  readonly backend: Backend;
  readonly contextLength: number;
  readonly loadSeconds: number;
  readonly checkpoint: Checkpoint;
  /** Whether the checkpoint was opened here, so that it is disposed with the model. */
  readonly ownsCheckpoint: boolean;
  readonly model: SequenceModel;
}

const where = "Llama.load";

const sourceType: OptionType = {
  ...checkpointLocation,
  expected: `${checkpointLocation.expected}, or an opened checkpoint`,
  accepts: (value) => isOpen(value) || checkpointLocation.accepts(value),
};

/** @throws as `Llama.load` does. */
export async function load(source: LoadSource, options: LoadOptions): Promise<Loaded> {
  // A backend that fails before it is awaited must not fail unheard of.
  if (isPromise(options?.backend)) options.backend.then(undefined, () => {});
  checkValue(source, sourceType, "checkpoint", where);
  checkOptions(options === undefined ? {} : options, loadOptionTypes, where);
  const { contextLength: wanted, quantize, chunk = 512, onProgress, signal } = options;
  const common = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  const started = performance.now();
  const backend = await options.backend;
  if (backend !== options.backend) checkValue(backend, { ...isBackend, required: true }, "backend", where);

  const ownsCheckpoint = !isOpen(source);
  const checkpoint = isOpen(source) ? given(source, options) : await openCheckpoint(source, openOptions(options));
  try {
    const contextLength = wanted ?? checkpoint.config.contextLength;
    checkNumber(contextLength, "contextLength", { least: 1, most: longestContext(checkpoint.config), integer: true });
    const config = configForContext(checkpoint.config, contextLength);
    const weights = quantize === undefined ? checkpoint : quantized(checkpoint, quantize);
    const graph = llamaGraph(config);
    checkFits(backend, graph, weights, contextLength);
    const outputs = [{ value: "logits", rows: "last" }] as const;
    const program = await backend.compile(graph, weights, { ...common, wanted: outputs });
    const model: SequenceModel = { program, vocabSize: config.vocabSize, chunk };
    const loadSeconds = (performance.now() - started) / 1000;
    return { config, backend, contextLength, loadSeconds, checkpoint, ownsCheckpoint, model };
  } catch (error) {
    if (ownsCheckpoint) await checkpoint[Symbol.asyncDispose]();
    throw error;
  }
}

/** What is open cannot be opened in another way. */
function given(checkpoint: Checkpoint, options: LoadOptions): Checkpoint {
  const { onProgress, signal, ...opening } = openOptions(options);
  const [name] = Object.keys(opening);
  if (name === undefined) return checkpoint;
  const message = `${where}: ${name} is for opening a checkpoint, and this one is open; give it to openCheckpoint.`;
  throw new OptionError(message, { option: name, expected: "left out", value: Object.values(opening)[0] });
}

function openOptions(options: LoadOptions): OpenOptions {
  const names = Object.keys(openOptionTypes) as (keyof OpenOptions)[]; // its own keys
  return Object.fromEntries(names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
}

function isOpen(value: unknown): value is Checkpoint {
  return typeof value === "object" && value !== null && "weights" in value && "config" in value;
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
