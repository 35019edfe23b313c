// Where NaN or an infinity came from: what a step reads and computes is looked at in the order in which it is computed,
// data first, then weights, the forward graph, the backward graph. Values are asked for a few at a time, so that they
// never all stand in memory; a step that failed has time for that.

import {
  type Graph,
  gradient,
  type OpName,
  results,
  type ValueName,
  type WeightName,
  type WeightSource,
  withLogProbabilities,
} from "@polyllama/core";
import type { Device, DeviceTensor, HostArray, OutputValue, Program, SequenceRows, Step } from "@polyllama/core/device";
import { languageLoss, logProbability, packedStep, totalWeight } from "./loss.ts";
import { hostValues } from "./micro-batch.ts";
import type { PackedSequence } from "./pack.ts";
import type { Batch } from "./trainer.ts";

/** The first number of a step that is none. */
export interface NonFinite {
  /** NaN or an infinity. */
  readonly value: number;
  readonly in: "batch" | "weight" | "forward" | "backward";
  /** Name of the weight or of the graph's value; of a batch its part, sequence and row. */
  readonly name: string;
  /** What computed it, where something did. */
  readonly op?: OpName;
}

/** "NaN first in layers.3.swiglu (op swiglu)" */
export function showNonFinite({ value, in: place, name, op }: NonFinite): string {
  const where = { batch: "the batch, ", weight: "the weight ", forward: "", backward: "the gradients, " }[place];
  return `${value} first in ${where}${name}${op === undefined ? "" : ` (op ${op})`}`;
}

/** How many values are asked for at once. */
const together = 16;

/**
 * Finds the first value of a step that is not finite.
 *
 * @param graph Leads from `tokens` to logits, as that of the trainer.
 * @param source The weights before the step, as `Trainer.export` gives them.
 * @param trained The weights that train; default: all of them.
 * @returns undefined where all of them are finite when they are computed one by one.
 * @throws what the device throws.
 */
export async function firstNonFinite(
  device: Device,
  graph: Graph,
  source: WeightSource,
  batch: Batch,
  trained: readonly WeightName[] = graph.weights.map(({ name }) => name),
): Promise<NonFinite | undefined> {
  const known = inBatch(batch) ?? (await inWeights(trained, source));
  if (known !== undefined) return known;
  const graphs = gradient(withLogProbabilities(graph), { weights: trained });
  const total = batch.reduce((sum, packed) => sum + totalWeight(packed), 0);
  const parameters = await device.loadParameters([graphs.forward, graphs.backward], source);
  try {
    await using forward = await device.compile(graphs.forward, parameters);
    await using backward = await device.compile(graphs.backward, parameters);
    for (const packed of batch) {
      const { inputs, sequences = [] } = packedStep(packed);
      const found = await inProgram(forward, { inputs, sequences }, "forward");
      if (found !== undefined) return found;
      const outputs = [logProbability, ...graphs.kept].map((value, i) => {
        return { value, rows: "all", to: i === 0 ? "host" : "device" } as const;
      });
      const values = await forward.submit({ inputs, sequences, outputs }).result;
      const kept = new Map(graphs.kept.map((name, i) => [name, deviceTensor(values[i + 1])]));
      try {
        const { cotangent } = languageLoss(hostValues(values[0]), packed, total);
        const given = new Map<ValueName | undefined, HostArray | DeviceTensor>([
          ...Object.entries(inputs),
          ...kept,
          [graphs.cotangents.get(logProbability), cotangent],
        ]);
        const read = graphs.backward.inputs.flatMap(({ name }) => (given.has(name) ? [[name, given.get(name)!]] : []));
        const wrong = await inProgram(backward, { inputs: Object.fromEntries(read), sequences }, "backward");
        if (wrong !== undefined) return wrong;
      } finally {
        for (const tensor of kept.values()) tensor[Symbol.dispose]();
      }
    }
  } finally {
    parameters[Symbol.dispose]();
  }
  return undefined;
}

/** What a step weighs its targets by; their sum is what the loss is divided by. */
function inBatch(batch: Batch): NonFinite | undefined {
  for (const [part, packed] of batch.entries()) {
    for (const [sequence, { weights }] of packed.entries()) {
      const row = firstIn(weights);
      if (row < 0) continue;
      const name = `part ${part}, sequence ${sequence}, weight of row ${row}`;
      return { value: weights[row]!, in: "batch", name }; // which was just found there
    }
  }
  const total = batch.reduce((sum: number, packed: readonly PackedSequence[]) => sum + totalWeight(packed), 0);
  return Number.isFinite(total) ? undefined : { value: total, in: "batch", name: "sum of the weights of all rows" };
}

/** The others were looked at when they were loaded, and have not changed. */
async function inWeights(trained: readonly WeightName[], source: WeightSource): Promise<NonFinite | undefined> {
  for (const name of trained) {
    const values = await valuesOf(source, name);
    const at = firstIn(values);
    if (at >= 0) return { value: values[at]!, in: "weight", name };
  }
  return undefined;
}

/** The values of a weight in f32, or in the precision that the source has beyond it. */
async function valuesOf(source: WeightSource, name: WeightName): Promise<Float32Array | Float64Array> {
  const exact = await source.readExact?.(name);
  if (exact !== undefined) return exact;
  const { buffer, byteOffset, byteLength } = await source.read(name);
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

async function inProgram(
  program: Program,
  step: Pick<Step, "inputs"> & { readonly sequences: readonly SequenceRows[] },
  place: "forward" | "backward",
): Promise<NonFinite | undefined> {
  const all = program.graph.nodes.flatMap((node) => results(node).map((name) => ({ name, op: node.op })));
  for (let first = 0; first < all.length; first += together) {
    const asked = all.slice(first, first + together);
    const outputs = asked.map(({ name }) => ({ value: name, rows: "all", to: "host" }) as const);
    const values = await program.submit({ ...step, outputs }).result;
    for (const [i, { name, op }] of asked.entries()) {
      const data = hostValues(values[i]);
      const at = firstIn(data);
      if (at >= 0) return { value: data[at]!, in: place, name, op };
    }
  }
  return undefined;
}

function firstIn(values: Float32Array | Float64Array): number {
  return values.findIndex((value) => !Number.isFinite(value));
}

function deviceTensor(value: OutputValue | undefined): DeviceTensor {
  if (value?.to === "device") return value.tensor;
  throw new TypeError(`an output for the device went to ${value?.to}`);
}
