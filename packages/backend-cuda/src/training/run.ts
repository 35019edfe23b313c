// A step of training on the card: where each value is, what comes from the host, launches, and what the host reads back.
// Launches are made twice: first to see how much memory they take beside values, then with that memory's addresses. Updates
// come behind a look at what they are made of.

import { type Node, PolyllamaError, resultName, resultRoles, type ValueName } from "@polyllama/core";
import {
  assignOffsets,
  rotationKey,
  type TrainingPlan,
  type TrainingRun,
  type TrainingStep,
  type TrainingValues,
} from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Launch } from "../launch.ts";
import type { TrainingFormat } from "../options.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { readWords } from "../words.ts";
import type { TrainingEmission } from "./emit/emission.ts";
import { emitTraining } from "./emit/index.ts";
import { emitFinite } from "./emit/optimizer.ts";
import { fromWords, toWords, wordsOf } from "./layout.ts";
import type { TrainingMemory } from "./memory.ts";
import type { TrainingTensor } from "./tensors.ts";
import { type ToldLayout, toldLayout, writeTold } from "./told.ts";

/** What a run takes beside its step. */
export interface Runner {
  readonly weights: LoadedWeights;
  readonly memory: TrainingMemory;
  readonly products: TrainingFormat;
}

type Run = TrainingRun<TrainingTensor>;

/** Blocks along the second dimension of a grid, at most. */
const mostRows = 65535;

/** Words at whose multiples values begin. */
const alignment = 64;

/** @throws {MemoryError}; `PolyllamaError` `ERR_BACKEND` for a step of too many rows; the signal's reason */
export async function runTraining(run: Run, runner: Runner, signal: AbortSignal): Promise<TrainingValues> {
  const { memory } = runner;
  const { gpu } = runner.weights;
  const { plan, places, updates } = { ...run, plan: run.plan.plan };
  const { rows } = places;
  if (rows > mostRows) {
    const problem = `A step of training has ${mostRows} rows at most on CUDA, not ${rows}.`;
    throw new PolyllamaError("ERR_BACKEND", `${problem} Train in smaller micro-batches.`);
  }
  const values = placeValues(run);
  const told = toldLayout(rows, run.plan);
  const scratch = { words: 0 };
  const measured = { arena: 0n, told: 0n, scratch: 0n };
  emitRun(run, emissionOf(run, runner, values, told, measured, scratch), scratch);
  await memory.arena.ensure(4 * (values.words + scratch.words), rows);
  await memory.told.ensure(told.bytes, rows);
  const arena = memory.arena.address;
  const bases = { arena, told: memory.told.address, scratch: arena + BigInt(4 * values.words) };
  const e = emissionOf(run, runner, values, told, bases, scratch);
  await copyIn(run, memory, told, e);
  signal.throwIfAborted();
  const emitted = emitRun(run, e, scratch);
  for (const launch of emitted.launches) gpu.launch(launch);
  const flag = bases.told + BigInt(told.flag);
  const found = updates ? new Uint32Array(await readWords(gpu, flag, 1, "a flag")) : [0];
  signal.throwIfAborted();
  return {
    notFinite: found[0] !== 0,
    isInPlace: (name) => values.written.has(name),
    async read(name) {
      const buffer = plan.outputs.get(name)!; // it was asked for
      const words = await readWords(gpu, e.at(buffer), wordsOf(buffer, rows), `"${name}"`);
      return fromWords(buffer, words);
    },
    async update() {
      for (const launch of emitted.updates) gpu.launch(launch);
      if (emitted.updates.length > 0) await gpu.finished();
    },
    free: () => undefined, // the next step has the same memory
  };
}

/** Where values are: words behind the beginning of the arena, or elsewhere. */
interface PlacedValues {
  readonly offsets: readonly number[];
  readonly words: number;
  /** Results that are written over weights. */
  readonly written: ReadonlySet<ValueName>;
}

function placeValues({ plan: { plan }, places, given, kept, inPlace }: Run): PlacedValues {
  const written = new Set(plan.steps.filter(({ node }) => inPlace(node)).flatMap(({ node }) => namesOf(node)));
  const sizes = plan.buffers.map((buffer) => {
    const { value } = buffer;
    if (given.has(value) || kept.has(value) || written.has(value)) return 0;
    return Math.ceil(wordsOf(buffer, places.rows) / alignment) * alignment;
  });
  const { offsets, size } = assignOffsets({ buffers: [], lifetimes: lifetimesOf(plan) }, sizes);
  return { offsets, words: size, written };
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

/** Addresses of a step's memory. */
interface Bases {
  readonly arena: Handle;
  readonly told: Handle;
  readonly scratch: Handle;
}

/** Words of scratch memory: those that a step of the plan has taken, and then the most that any has. */
interface Scratch {
  words: number;
}

function emissionOf(
  { places, plan: { rotations, rotationStride }, given, kept, inPlace }: Run,
  { weights, products }: Runner,
  { offsets }: PlacedValues,
  told: ToldLayout,
  bases: Bases,
  scratch: Scratch,
): TrainingEmission {
  const at = (offset: number): Handle => bases.told + BigInt(offset);
  return {
    rows: places.rows,
    weights,
    products,
    step: at(told.rows),
    bounds: at(told.bounds),
    flag: at(told.flag),
    rotation(node) {
      const { offset } = rotations.find((rotation) => rotationKey(rotation) === rotationKey(node))!; // placed when it was planned
      const table = at(node.backwards === true ? told.backwards : told.rotations);
      return { address: table + BigInt(8 * offset), stride: rotationStride };
    },
    at({ id, value }) {
      const elsewhere = given.get(value) ?? kept.get(value);
      return elsewhere?.address ?? bases.arena + BigInt(4 * offsets[id]!); // each buffer has an offset
    },
    scratch(words) {
      const start = bases.scratch + BigInt(4 * scratch.words);
      scratch.words += Math.ceil(words / alignment) * alignment;
      return start;
    },
    inPlace,
  };
}

/** All launches of a run; what it takes of scratch memory is the most that a step of the plan takes. */
function emitRun(
  { plan: { plan }, updates, inPlace }: Run,
  e: TrainingEmission,
  scratch: Scratch,
): { readonly launches: readonly Launch[]; readonly updates: readonly Launch[] } {
  let most = 0;
  const emitAll = (steps: readonly TrainingStep[]): readonly Launch[] =>
    steps.flatMap((step) => {
      scratch.words = 0; // the step before has ended
      const launches = emitTraining(step, e);
      most = Math.max(most, scratch.words);
      return launches.filter(({ grid }) => grid.every((blocks) => blocks > 0));
    });
  const updated = plan.steps.filter(({ node }) => inPlace(node));
  const launches = [
    ...emitAll(plan.steps.filter(({ node }) => !inPlace(node))),
    ...(updates ? emitFinite(updated, e) : []),
  ];
  const updating = emitAll(updated);
  scratch.words = most;
  return { launches, updates: updating };
}

/** Inputs from the host, and what it tells of the step. */
async function copyIn(run: Run, memory: TrainingMemory, told: ToldLayout, e: TrainingEmission): Promise<void> {
  const { plan, places, inputs } = run;
  const given = [...plan.plan.inputs].flatMap(([name, buffer]) => {
    const data = inputs[name];
    return data === undefined ? [] : [{ to: e.at(buffer), words: toWords(buffer, data) }];
  });
  const copies = [
    { to: memory.told.address, bytes: told.bytes },
    ...given.map(({ to, words }) => ({ to, bytes: words.byteLength })),
  ];
  const tokens = plan.tokens === undefined ? undefined : inputs[plan.tokens];
  await memory.copyIn(copies, (buffer) => {
    writeTold(buffer, told, places, plan, tokens instanceof Int32Array ? tokens : undefined);
    let from = told.bytes;
    for (const { words } of given) {
      new Uint8Array(buffer, from).set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
      from += words.byteLength;
    }
  });
}
