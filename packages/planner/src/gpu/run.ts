// A step that is computed away from the host, in chunks that are enqueued one behind another: its tensors, and how it
// ends.

import { type Graph, PolyllamaError } from "@polyllama/core";
import { isDeviceTensor, type OutputValue, type Step } from "@polyllama/core/device";
import type { TensorRegister } from "../frame/device-frame.ts";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { AcceptedStep, StepRun } from "../frame/program-frame.ts";
import { orAborted } from "../frame/step-queue.ts";
import { StepTensor, type TensorStorage } from "../frame/step-tensor.ts";
import { disposeTensors, finishSinks, makeSinks, type Sink } from "./sinks.ts";

/** The memory of a tensor on such a device. */
export interface GpuTensorStorage extends TensorStorage {
  /** How many tokens there were to choose from; undefined for activations. */
  readonly vocabulary: number | undefined;
  /** Called when its memory is free. */
  onFree: () => void;
}

/** What a backend does with its steps. */
export interface GpuRunner<Storage extends GpuTensorStorage> {
  /** The backend's name, for errors. */
  readonly name: string;
  readonly graph: Graph;
  readonly register: TensorRegister;
  /** Memory for so many elements. @throws {MemoryError} */
  allocate(elements: number, vocabulary: number | undefined): Storage;
}

/**
 * The run of a step.
 *
 * @param enqueue Enqueues its chunks; what it gives settle when the outputs of each chunk have been taken.
 * @throws {UnsupportedError}; {@link PolyllamaError} `ERR_GRAPH` for drawn tokens that the graph does not look up
 */
export function gpuRun<Storage extends GpuTensorStorage>(
  { name, graph, register, allocate }: GpuRunner<Storage>,
  accepted: AcceptedStep<PoolStorage>,
  enqueue: (sinks: readonly Sink<Storage>[], signal: AbortSignal) => Promise<readonly Promise<void>[]>,
): StepRun {
  checkDrawnTokens(graph, accepted.step);
  const sinks = makeSinks(name, accepted, graph.widths, ([rows, width], vocabulary) => {
    const storage = allocate(rows * width, vocabulary);
    const kind = vocabulary === undefined ? "activations" : "tokens";
    const tensor = new StepTensor([rows, width], kind, storage, accepted.record);
    register.opened(tensor);
    storage.onFree = () => register.closed(tensor);
    return tensor;
  });
  const offered = sinks.find((sink) => sink.to === "token")?.tensor;
  let delivered = false;
  return {
    ...(offered && { tokens: offered }),
    begin: async (signal) => {
      const chunks = await enqueue(sinks, signal);
      const outputs = async (): Promise<readonly OutputValue[]> => {
        await orAborted(Promise.all(chunks), signal);
        const values = await finishSinks(sinks, signal);
        delivered = true;
        return values;
      };
      return { outputs: outputs() };
    },
    end: () => {
      // Whoever submitted the step has the tokens; a tensor of a step that failed nobody has been given.
      disposeTensors(
        sinks.filter((sink) => (sink.to === "device" ? !delivered : sink.to === "token" && sink.tensor !== offered)),
      );
    },
  };
}

/** @throws {PolyllamaError} `ERR_GRAPH` for drawn tokens that may not be in the table that looks them up */
function checkDrawnTokens(graph: Graph, { inputs }: Step): void {
  for (const node of graph.nodes) {
    const input = node.op === "embedding" ? inputs[node.tokens] : undefined;
    if (node.op !== "embedding" || input === undefined || !isDeviceTensor(input)) continue;
    // the frame has seen that it is this device's
    const { vocabulary = 0 } = (input as StepTensor<GpuTensorStorage>).storage;
    const rows = graph.weights.find(({ name }) => name === node.table)!.shape[0]!; // each weight of a node is there
    if (vocabulary <= rows) continue;
    throw new PolyllamaError(
      "ERR_GRAPH",
      `"${node.tokens}" was drawn from ${vocabulary} logits; the table "${node.table}" has ${rows} rows.`,
    );
  }
}
