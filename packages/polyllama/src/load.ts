// From a checkpoint and a backend to a compiled model.

import {
  type Checkpoint,
  checkpointLocation,
  type OpenOptions,
  openAdapter,
  openCheckpoint,
  openOptionTypes,
  quantized,
  type WebLocation,
} from "@polyllama/checkpoints";
import {
  adapterScales,
  checkNumber,
  checkOptions,
  checkValue,
  configForContext,
  type LlamaConfig,
  llamaGraph,
  longestContext,
  OptionError,
  type OptionType,
  UnsupportedError,
} from "@polyllama/core";
import { cacheSpec, type Device, type Parameters } from "@polyllama/core/device";
import { checkFits } from "./memory.ts";
import { isBackend, type LoadOptions, loadOptionTypes } from "./options.ts";
import type { SequenceModel } from "./sequence-model.ts";
import { type SequencePools, sequencePools } from "./sequence-pools.ts";

/** What `Llama.load` takes: where a checkpoint is, or one that is open. */
export type LoadSource = string | WebLocation | Checkpoint;

/** All that a model consists of. */
export interface Loaded {
  readonly config: LlamaConfig;
  readonly device: Device;
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
  const { contextLength: wanted, quantize, chunk = 512, sequences = 0, cacheFormat, onProgress, signal } = options;
  const common = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  const started = performance.now();
  const device = await options.backend;
  if (device !== options.backend) checkValue(device, { ...isBackend, required: true }, "backend", where);

  const ownsCheckpoint = !isOpen(source);
  const checkpoint = isOpen(source) ? opened(source, options) : await openCheckpoint(source, openOptions(options));
  try {
    const contextLength = wanted ?? checkpoint.config.contextLength;
    checkNumber(contextLength, "contextLength", { least: 1, most: longestContext(checkpoint.config), integer: true });
    const config = configForContext(checkpoint.config, contextLength);
    const weights = quantize === undefined ? checkpoint : quantized(checkpoint, quantize);
    const graph = llamaGraph(config);
    await checkFits(device, graph, weights, contextLength, cacheFormat);
    if (options.adapter !== undefined && !device.features.adapters) throw withoutAdapters(device);
    const parameters = await device.loadParameters([graph], weights, common);
    try {
      const adapter = options.adapter && (await addAdapter(parameters, options.adapter, config, signal));
      const outputs = device.features.outputs
        .filter((to) => to === "host" || to === "token")
        .map((to) => {
          return { value: "logits", rows: "last", to } as const;
        });
      const program = await device.compile(graph, parameters, { outputs, ...(signal && { signal }) });
      let pools: SequencePools;
      try {
        pools = sequencePools(device, cacheSpec(graph), { rows: contextLength, sequences }, cacheFormat);
      } catch (error) {
        await program[Symbol.asyncDispose]();
        throw error;
      }
      const end = new AbortController();
      const model: SequenceModel = {
        device,
        parameters,
        program,
        pools,
        end,
        vocabSize: config.vocabSize,
        chunk,
        adapter,
      };
      const loadSeconds = (performance.now() - started) / 1000;
      return { config, device, contextLength, loadSeconds, checkpoint, ownsCheckpoint, model };
    } catch (error) {
      parameters[Symbol.dispose]();
      throw error;
    }
  } catch (error) {
    if (ownsCheckpoint) await checkpoint[Symbol.asyncDispose]();
    throw error;
  }
}

/** @returns the name that sequences call it by. @throws {CheckpointError} for an adapter of another model */
async function addAdapter(
  parameters: Parameters,
  location: string | WebLocation,
  config: LlamaConfig,
  signal: AbortSignal | undefined,
): Promise<string> {
  await using adapter = await openAdapter(location, config, signal === undefined ? {} : { signal });
  await parameters.addAdapter(adapter.name, adapter, { scale: adapterScales(adapter) });
  return adapter.name;
}

function withoutAdapters({ name }: Device): UnsupportedError {
  const problem = `The ${name} backend does not compute adapters beside the weights`;
  const remedy =
    "Merge it into the model: mergeAdapter(checkpoint, adapter), or `polyllama convert MODEL DEST --adapter PATH`.";
  return new UnsupportedError(problem, remedy, { op: "linear" });
}

/** What is open cannot be opened in another way. */
function opened(checkpoint: Checkpoint, options: LoadOptions): Checkpoint {
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
