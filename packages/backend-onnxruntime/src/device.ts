// The processor, by ONNX Runtime's library, as a device: a graph becomes an ONNX model. Weights keep their stored
// precision; see pack/ for how each format is laid out and lower.ts for the operators. Nothing is loaded before it is
// needed.

import { cpus, totalmem } from "node:os";
import type { FormatName, Graph, ValueName } from "@polyllama/core";
import type { CompileProgramOptions, Device, DeviceFeatures } from "@polyllama/core/device";
import { formats, readValues } from "@polyllama/formats";
import { DeviceFrame, type SharedParameters, supportsInference } from "@polyllama/planner";
import { OnnxRuntimeExecutor } from "./executor.ts";
import { OnnxRuntimeBlocks } from "./kv-blocks.ts";
import { estimateMemory } from "./memory.ts";
import { type OnnxRuntimeOptions, withDefaults } from "./options.ts";
import { loadOrt } from "./ort/api.ts";
import { loadParameters, loadStacks, type OnnxRuntimeParameters } from "./parameters.ts";
import { roundings } from "./roundings.ts";

const features: DeviceFeatures = {
  outputs: ["host", "device", "token", "score"],
  adjustments: true,
  stepsAhead: 1, // a token is chosen on the host, before the next step can begin
  invariantRows: false, // other kernels multiply few rows
  adapters: true,
  updates: false,
  pagedCaches: false,
  cacheExport: true,
};

/**
 * The processor, by ONNX Runtime.
 *
 * A block of a pool is the whole of a sequence: `blockRows` is the longest sequence's length, beyond which a step
 * throws a `ContextOverflowError`, and a fork copies its block when it is first written. Caches are f32. Allocated
 * memory is that of packed files, which are mapped, and of KV blocks; what is free it does not tell, as pages of mapped
 * files are dropped when memory is short.
 *
 * @throws {PolyllamaError} `ERR_OPTION`. Where ONNX Runtime is not installed `loadParameters` and `describe` say so,
 * not this.
 */
export function onnxruntime(given: OnnxRuntimeOptions = {}): Device {
  const options = withDefaults(given);
  const { threads, activations } = options;
  return new DeviceFrame({
    name: "onnxruntime",
    roundings: roundings(activations),
    formats: new Set(Object.keys(formats) as FormatName[]), // the record's own keys
    features,
    /** @throws {PolyllamaError} `ERR_BACKEND`, `ERR_UNSUPPORTED` where ONNX Runtime is not installed. */
    describe() {
      const { version, path } = loadOrt();
      return {
        backend: "onnxruntime",
        device: cpus()[0]?.model.trim() ?? process.arch,
        details: { threads, activations, onnxruntime: version, library: path },
      };
    },
    // There are operators for every operation of inference, with weights of every format.
    supports: (node) => supportsInference("onnxruntime", node, "any"),
    totalMemory: totalmem,
    estimateMemory: (graph, weights, rows) => estimateMemory(graph, weights, rows, activations),
    async loadWeights(graphs, source, { onProgress, signal }) {
      loadOrt(); // says at once where there is none
      return loadParameters(graphs, source, options, onProgress, signal);
    },
    adapters: {
      readValues,
      async load(weights, graphs, source, signal) {
        const stacks = await loadStacks(graphs, source, signal);
        return { weights: weights.beside(stacks), bytes: stacks.layout.bytes, free: () => undefined };
      },
    },
    caches: {
      formats: ["f32"],
      reason: "ONNX Runtime's CPU kernel would round queries as well",
      blockRows: "sequence",
      allocate: ({ spec, blocks, rows }) => new OnnxRuntimeBlocks(loadOrt(), spec, rows, blocks),
    },
    executor: (graph, parameters, given) => prepared(graph, parameters, options, given),
  });
}

/** What runs the graph's steps, with the session for what they will ask for. */
async function prepared(
  graph: Graph,
  parameters: SharedParameters<OnnxRuntimeParameters>,
  { threads, activations }: Required<OnnxRuntimeOptions>,
  { outputs, onProgress, signal }: CompileProgramOptions & { readonly signal: AbortSignal },
): Promise<OnnxRuntimeExecutor> {
  const values: ReadonlySet<ValueName> = new Set(outputs?.map(({ value }) => value) ?? graph.outputs);
  const executor = new OnnxRuntimeExecutor({
    ort: loadOrt(),
    graph,
    parameters: parameters.storage,
    threads,
    accuracyLevel: activations === "int8" ? 4 : 1,
    owner: parameters.owner,
  });
  try {
    const total = parameters.bytes;
    onProgress?.({ phase: "loading weights", done: 0, total });
    await executor.prepare(values, signal);
    onProgress?.({ phase: "loading weights", done: total, total });
    return executor;
  } catch (error) {
    await executor.free();
    throw error;
  }
}
