// A step of training on the device: where each value is, what comes from the host, kernels, and what the host reads back.
// Updates are a submission of their own, behind a look at what they are made of.

import { type Node, PolyllamaError, resultName, resultRoles, type ValueName } from "@polyllama/core";
import type { StepPlaces } from "@polyllama/core/device";
import {
  assignSlots,
  rotationKey,
  type TrainingBuffer,
  type TrainingPlan,
  type TrainingRun,
  type TrainingStep,
  type TrainingValues,
} from "@polyllama/planner";
import { type Gpu, usage } from "../gpu.ts";
import type { Meter } from "../program/meter.ts";
import { encodeStep, stepBytes } from "../program/step.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { type Command, type View, whole } from "./commands.ts";
import type { TrainingEmission } from "./emit/emission.ts";
import { emitTraining } from "./emit/index.ts";
import { emitFinite } from "./emit/optimizer.ts";
import { fromWords, mostWorkgroups, toWords, wordsOf } from "./layout.ts";
import type { TrainingMemory } from "./memory.ts";
import { readWords } from "./read.ts";
import { submitCommands } from "./submit.ts";
import type { TrainingTensor } from "./tensors.ts";

/** What a run takes beside its step. */
export interface Runner {
  readonly gpu: Gpu;
  readonly weights: LoadedWeights;
  readonly memory: TrainingMemory;
  readonly meter: Meter;
}

type Run = TrainingRun<TrainingTensor>;

/** A step with all its buffers. */
interface PlacedRun {
  /** The uniform of the step. */
  readonly step: GPUBuffer;
  /** Not 0 where something that updates are made of is not finite. */
  readonly flag: View;
  readonly commands: readonly Command[];
  readonly updates: readonly Command[];
  readonly written: ReadonlySet<ValueName>;
  view(buffer: TrainingBuffer): View;
}

/** @throws {MemoryError}; `PolyllamaError` `ERR_BACKEND` for a step of too many rows; the signal's reason */
export async function runTraining(run: Run, runner: Runner, signal: AbortSignal): Promise<TrainingValues> {
  const { gpu, memory, meter } = runner;
  const { plan, places, kept, updates } = { ...run, plan: run.plan.plan };
  gpu.assertAlive();
  if (places.rows > mostWorkgroups) {
    const problem = `A step of training has ${mostWorkgroups} rows at most on WebGPU, not ${places.rows}.`;
    throw new PolyllamaError("ERR_BACKEND", `${problem} Train in smaller micro-batches.`);
  }
  try {
    for (const { ready } of kept.values()) await ready;
    const placed = await gpu.guard("memory of a step of training", () => place(run, runner));
    const submitting = { gpu, memory, meter, step: placed.step };
    await submitCommands(placed.commands, submitting, signal);
    const found = updates ? new Uint32Array(await readWords(gpu, { ...placed.flag, bytes: 4 })) : [0];
    return {
      notFinite: found[0] !== 0,
      isInPlace: (name) => placed.written.has(name),
      async read(name) {
        const buffer = plan.outputs.get(name)!; // it was asked for
        const bytes = 4 * wordsOf(buffer, places.rows);
        return fromWords(buffer, await readWords(gpu, { ...placed.view(buffer), bytes }));
      },
      update: () => submitCommands(placed.updates, submitting, undefined),
      free: () => memory.settle(),
    };
  } catch (error) {
    memory.settle();
    throw error;
  }
}

/** Gives every value its memory, writes what comes from the host, and says what is to be done. */
function place(run: Run, { gpu, weights, memory }: Runner): PlacedRun {
  const { places, inputs, given, kept, inPlace } = run;
  const { plan, rotations, rotationStride } = run.plan;
  const { rows } = places;
  const written = new Set(plan.steps.filter(({ node }) => inPlace(node)).flatMap(({ node }) => namesOf(node)));
  const bytes = plan.buffers.map((buffer) => 4 * wordsOf(buffer, rows));
  const elsewhere = ({ value }: TrainingBuffer): boolean => given.has(value) || kept.has(value) || written.has(value);
  const sizes = bytes.map((size, i) => (elsewhere(plan.buffers[i]!) ? 0 : Math.ceil(size / 256) * 256)); // one for each
  const { slots, slotOf } = assignSlots({ buffers: [], lifetimes: lifetimesOf(plan) }, sizes);
  const buffers = slots.map((slot) => (slot.bytes === 0 ? undefined : memory.take("values of training", slot.bytes)));
  const view = (buffer: TrainingBuffer): View => {
    const own = (given.get(buffer.value) ?? kept.get(buffer.value))?.buffer ?? buffers[slotOf[buffer.id]!];
    return { buffer: own!, offset: 0, bytes: bytes[buffer.id]! }; // what is written over weights nobody reads
  };
  const upload = (what: string, data: ArrayBuffer | ArrayBufferView<ArrayBuffer>, use?: number): GPUBuffer => {
    const buffer = memory.take(what, data.byteLength, use);
    gpu.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  for (const [name, buffer] of plan.inputs) {
    const data = inputs[name];
    if (data !== undefined) gpu.device.queue.writeBuffer(view(buffer).buffer, 0, toWords(buffer, data));
  }
  const counts = { rows, selected: rows, draws: 0 };
  const head = new Uint8Array(stepBytes);
  head.set(new Uint8Array(encodeStep(counts, [])));
  const step = upload("step", head, usage.uniform | usage.copyTarget);
  const scratch: GPUBuffer[] = [];
  const e: TrainingEmission = {
    rows,
    gpu,
    weights,
    bounds: whole(upload("bounds of sequences", boundsOf(places))),
    rotations: whole(upload("rotation", rotationsOf(run))),
    rotationStride,
    rotation: (node) => rotations.find((rotation) => rotationKey(rotation) === rotationKey(node))!, // placed when it was planned
    view,
    scratch(words) {
      const buffer = memory.take("scratch of training", 4 * words);
      scratch.push(buffer);
      return { buffer, offset: 0, bytes: Math.max(4, 4 * words) };
    },
    inPlace,
  };
  const emitAll = (steps: readonly TrainingStep[]): readonly Command[] =>
    steps.flatMap((each) => {
      const commands = emitTraining(each, e);
      for (const buffer of scratch.splice(0)) memory.give(buffer); // the next step may have it
      return commands;
    });
  const updates = plan.steps.filter(({ node }) => inPlace(node));
  const flag = { buffer: memory.take("flag", 16), offset: 0, bytes: 16 };
  const checks: readonly Command[] = run.updates ? [{ kind: "clear", to: flag }, ...emitFinite(updates, flag, e)] : [];
  const commands = [...emitAll(plan.steps.filter(({ node }) => !inPlace(node))), ...checks];
  return { step, flag, commands, updates: emitAll(updates), written, view };
}

function namesOf(node: Node): readonly ValueName[] {
  return resultRoles(node.op, node).map((role) => resultName(node.output, role));
}

/** Inputs are there from the start, and what is asked for to the end. */
function lifetimesOf({ lifetimes, buffers }: TrainingPlan): TrainingPlan["lifetimes"] {
  return lifetimes.map(({ first, last }, i) => {
    const { kind } = buffers[i]!; // one for each
    return { first: kind === "input" ? 0 : first, last: kind === "output" ? Number.POSITIVE_INFINITY : last };
  });
}

/** By row, the first row of its sequence and the row behind its last [N, 2]. */
function boundsOf({ rows, sequences }: StepPlaces): Uint32Array<ArrayBuffer> {
  const bounds = new Uint32Array(2 * Math.max(1, rows));
  for (const { first, rows: count } of sequences) {
    for (let n = first; n < first + count; n++) bounds.set([first, first + count], 2 * n);
  }
  return bounds;
}

/** Pairs (cos, sin) of each row. */
function rotationsOf({ plan: { rotationStride, table }, places }: Run): Float32Array<ArrayBuffer> {
  const rotations = new Float32Array(Math.max(1, 2 * rotationStride * places.rows));
  if (rotationStride === 0) return rotations;
  const positions = places.sequences.flatMap(({ start, rows }) => Array.from({ length: rows }, (_, n) => start + n));
  table.write(positions, rotations);
  return rotations;
}
