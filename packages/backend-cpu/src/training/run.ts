// A step of training as the library runs it: where each value is, what comes from the host, steps, and what the host reads
// back.

import { type Node, resultName, resultRoles, type ValueName } from "@polyllama/core";
import {
  assignOffsets,
  rotationKey,
  type TrainingBuffer,
  type TrainingPlan,
  type TrainingRun,
  type TrainingStep,
  type TrainingValues,
} from "@polyllama/planner";
import type { Machine } from "../machine.ts";
import {
  type EncodedStep,
  encodeRow,
  encodeRun,
  encodeSequence,
  encodeSteps,
  rowBytes,
  runBytes,
  sequenceBytes,
} from "../native/encode.ts";
import { stepBytes } from "../native/structs.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { emitTraining, type TrainingEmitting } from "./emit.ts";
import { fromMemory, toMemory, wordsOf } from "./layout.ts";
import type { TrainingMemory } from "./memory.ts";
import type { NativeTensor } from "./tensors.ts";

/** What a run takes beside its step. */
interface Runner {
  readonly weights: LoadedWeights;
  readonly memory: TrainingMemory;
  readonly machine: Machine;
}

type Run = TrainingRun<NativeTensor>;

/** Words between values, so that a vector behind the last one is still theirs. */
const between = 16;

/** @throws {MemoryError}; the signal's reason */
export async function runTraining(run: Run, runner: Runner, signal: AbortSignal): Promise<TrainingValues> {
  const { weights, memory, machine } = runner;
  const { plan: prepared, places, inputs, given, kept, inPlace } = run;
  const { plan, rotations } = prepared;
  const written = new Set(plan.steps.filter(({ node }) => inPlace(node)).flatMap(({ node }) => namesOf(node)));
  const isElsewhere = ({ value }: TrainingBuffer) => given.has(value) || kept.has(value) || written.has(value);
  const sizes = plan.buffers.map((buffer) => (isElsewhere(buffer) ? 0 : wordsOf(buffer, places.rows) + between));
  const { offsets, size } = assignOffsets(
    { buffers: [], lifetimes: lifetimesOf(plan) },
    sizes.map((words) => Math.ceil(words / 16) * 16),
  );

  /** Where a value is, given where those of use within the step alone begin. */
  const refOf = (base: bigint, { id, value }: TrainingBuffer): bigint =>
    (given.get(value) ?? kept.get(value))?.arena.ref ?? base + 4n * BigInt(offsets[id]!); // one for each
  const scratch = { used: 0, most: 0 };
  const emitAll = (base: bigint, steps: readonly TrainingStep[]): readonly EncodedStep[] => {
    const e: TrainingEmitting = {
      rows: places.rows,
      weights,
      refOf: (buffer) => refOf(base, buffer),
      rotation: (node) => rotations.find((rotation) => rotationKey(rotation) === rotationKey(node))!, // placed when it was planned
      scratch(words) {
        const at = base + 4n * BigInt(size + scratch.used);
        scratch.used += Math.ceil(words / 16) * 16 + between;
        scratch.most = Math.max(scratch.most, scratch.used);
        return at;
      },
      inPlace,
    };
    return steps.flatMap((step) => {
      scratch.used = 0;
      return emitTraining(step, e);
    });
  };
  emitAll(0n, plan.steps); // which says how much memory they take
  const values = memory.values.ensure(4 * (size + scratch.most));
  const floats = (buffer: TrainingBuffer): Float32Array =>
    values.floatsAt(4 * offsets[buffer.id]!, wordsOf(buffer, places.rows)); // likewise
  for (const [name, buffer] of plan.inputs) {
    const data = inputs[name];
    if (data !== undefined) toMemory(buffer, places.rows, data, floats(buffer));
  }
  const [first, last] = [
    plan.steps.filter(({ node }) => !inPlace(node)),
    plan.steps.filter(({ node }) => inPlace(node)),
  ];
  const checks = run.updates ? checksOf(last, (buffer) => refOf(values.ref, buffer), places.rows) : [];
  const { notFinite } = await runSteps([...emitAll(values.ref, first), ...checks], run, memory, machine, signal);
  return {
    notFinite,
    isInPlace: (name) => written.has(name),
    async read(name) {
      const tensor = kept.get(name);
      if (tensor !== undefined) return tensor.array();
      const buffer = plan.outputs.get(name)!; // it was asked for
      return fromMemory(buffer, places.rows, floats(buffer));
    },
    async update() {
      if (last.length > 0) await runSteps(emitAll(values.ref, last), run, memory, machine, undefined);
    },
    free() {},
  };
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

/** Looks at the squares of all gradients, and the settings: where they are finite, so is what AdamW makes of them. */
function checksOf(
  steps: readonly TrainingStep[],
  refOf: (buffer: TrainingBuffer) => bigint,
  rows: number,
): readonly EncodedStep[] {
  const looked = new Map(
    steps.flatMap(({ operands: { squares, settings } }) => [squares!, settings!]).map((each) => [each.value, each]),
  ); // AdamW's
  return [...looked.values()].map((buffer) => {
    const words = BigInt(wordsOf(buffer, rows));
    return ["finite", { rows: 1, x: refOf(buffer), width: words, xStride: words }];
  });
}

async function runSteps(
  steps: readonly EncodedStep[],
  { plan: { tokens, rotationStride, table }, places, inputs, given }: Run,
  memory: TrainingMemory,
  machine: Machine,
  signal: AbortSignal | undefined,
): Promise<{ readonly notFinite: boolean }> {
  let end = 0;
  const place = (bytes: number): number => {
    const start = end;
    end = Math.ceil((start + bytes) / 64) * 64;
    return start;
  };
  place(runBytes);
  const rows = place(rowBytes * places.rows);
  const sequences = place(sequenceBytes * places.sequences.length);
  const rotations = place(8 * rotationStride * places.rows);
  const first = place(stepBytes * steps.length);
  const told = memory.told.ensure(end);
  const view = told.view();
  const ids = tokens === undefined ? undefined : (inputs[tokens] ?? given.get(tokens)?.array());
  for (const [i, sequence] of places.sequences.entries()) {
    encodeSequence(view, sequences + sequenceBytes * i, {
      pool: 0n,
      table: 0n,
      blockBytes: 0n,
      first: sequence.first,
      rows: sequence.rows,
      format: 0,
    });
    for (let n = 0; n < sequence.rows; n++) {
      const row = sequence.first + n;
      encodeRow(view, rows + rowBytes * row, ids?.[row] ?? 0, i, n);
    }
  }
  if (rotationStride > 0) {
    const angles = places.sequences.flatMap(({ start, rows: count }) =>
      Array.from({ length: count }, (_, n) => start + n),
    );
    table.write(angles, told.floatsAt(rotations, 2 * rotationStride * places.rows));
  }
  encodeSteps(view, first, steps);
  encodeRun(view, 0, {
    steps: told.ref + BigInt(first),
    rows: told.ref + BigInt(rows),
    sequences: told.ref + BigInt(sequences),
    rotations: told.ref + BigInt(rotations),
    stepCount: steps.length,
    rowCount: places.rows,
    sequenceCount: places.sequences.length,
    rotationStride,
  });
  return machine.run(told.ref, signal);
}
