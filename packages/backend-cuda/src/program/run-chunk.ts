// Runs a chunk: memory for it, what the host tells of it, its launches, as a graph where it is a step of decoding, and
// what comes back.

import { isDeviceTensor } from "@polyllama/core/device";
import { type Place, partsTo, runsOf, StepTensor, takeOutputRows, takeToken, wantsHostRows } from "@polyllama/planner";
import { countOf, type Emitting, rowsAt } from "../emit/emitting.ts";
import { emit } from "../emit/index.ts";
import { partKeys } from "../kernels/attention_split.ts";
import { gatherRows } from "../kernels/gather_rows.ts";
import { drawBytes, sample, takeTokens } from "../kernels/sample.ts";
import type { Launch } from "../launch.ts";
import type { CudaTensor } from "../tensors.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import type { ChunkJob } from "./chunk-job.ts";
import { atLeast } from "./plans.ts";
import type { Slot } from "./slots.ts";
import { type StepLayout, stepLayout } from "./step-memory.ts";
import type { Workspace } from "./workspace.ts";
import { countsOf, drawnTokens, writeActivations, writeChunk } from "./write-chunk.ts";

/** What all chunks of a device need. */
export interface ChunkRunner {
  readonly workspace: Workspace;
  readonly weights: LoadedWeights;
  /** Address of core's table of powers, for draws. */
  readonly powers: bigint;
}

/**
 * Enqueues a chunk.
 *
 * @returns what settles when its outputs have been taken.
 * @throws {MemoryError}
 */
export async function runChunk(runner: ChunkRunner, job: ChunkJob): Promise<{ readonly outputs: Promise<void> }> {
  const { gpu, slots } = runner.workspace;
  const slot = await slots.acquire();
  try {
    const layout = stepLayout(countsOf(job));
    const e = await place(runner, job, layout);
    copyIn(runner.workspace, job, layout, slot, e);
    launchAll(runner, job, layout, e);
    const taken = copyOut(runner.workspace, job, slot, e);
    gpu.record(slot.event);
    return { outputs: take(runner.workspace, slot, taken) };
  } catch (error) {
    // A part of it may be under way. What failed is told, not what follows from it.
    await gpu.finished().catch(() => undefined);
    slots.release(slot);
    throw error;
  }
}

/** Makes room. */
async function place({ workspace, weights }: ChunkRunner, job: ChunkJob, layout: StepLayout): Promise<Emitting> {
  const { prepared, chunk, selected } = job;
  const { arena, partials, step } = workspace;
  const rows = chunk.rows.length;
  const parts = prepared.mode === "decode" ? atLeast(Math.ceil(chunk.longest / partKeys)) : 1;
  const { offsets, size } = prepared.arena(rows, selected.length);
  await arena.ensure(4 * size, rows);
  await partials.ensure(4 * prepared.partialWords * parts * atLeast(rows), rows);
  await step.ensure(atLeast(layout.bytes), rows);
  const at = (offset: number): bigint => step.address + BigInt(offset);
  return {
    mode: prepared.mode,
    plan: prepared.plan,
    weights,
    rows,
    selected: selected.length,
    parts,
    step: at(layout.rows),
    selection: at(layout.selection),
    rotations: at(layout.rotations),
    partials: partials.address,
    arena: arena.address,
    offsets,
  };
}

function copyIn({ gpu, step }: Workspace, job: ChunkJob, layout: StepLayout, slot: Slot, e: Emitting): void {
  const { accepted, chunk, prepared } = job;
  const inputs = [...prepared.plan.inputs].map(([value, { buffer, width }]) => {
    return { value, width, stride: buffer.stride, to: rowsAt({ buffer, offset: 0, width }, e).address };
  });
  const rows = chunk.rows.length;
  const host = inputs.filter(({ value }) => !isDeviceTensor(accepted.step.inputs[value]!)); // resolveStep wants all
  const bytes = host.reduce((sum, { stride }) => sum + 4 * stride * rows, layout.bytes);
  const pinned = slot.in(bytes);
  writeChunk(job, layout, pinned.buffer, step.address);
  gpu.copyToDevice(step.address, pinned.address, layout.bytes);
  let from = layout.bytes;
  for (const { value, width, stride, to } of host) {
    writeActivations(job, value, width, new Float32Array(pinned.buffer, from, stride * rows), stride);
    gpu.copyToDevice(to, pinned.address + BigInt(from), 4 * stride * rows);
    from += 4 * stride * rows;
  }
  for (const { value, width, stride, to } of inputs) {
    const input = accepted.step.inputs[value];
    if (!(input instanceof StepTensor)) continue;
    const { address } = (input as StepTensor<CudaTensor>).storage; // the frame has seen that it is this device's
    for (const [n, { row }] of chunk.rows.entries()) {
      gpu.copyOnDevice(to + BigInt(4 * stride * n), address + BigInt(4 * width * row), 4 * width);
    }
  }
}

function launchAll(runner: ChunkRunner, job: ChunkJob, layout: StepLayout, e: Emitting): void {
  const { gpu, graphs, step, moves } = runner.workspace;
  const { prepared, chunk } = job;
  const draws = partsTo(job.parts, "token");
  const takes = drawnTokens(job) !== undefined;
  const launches = (): readonly Launch[] => [
    ...(takes ? [takeTokens(e.rows, e.step, step.address + BigInt(layout.tokens))] : []),
    ...emit(prepared.plan.steps, e),
    ...drawLaunches(runner, job, layout, e),
  ];
  if (chunk.single) {
    const drawn = draws.map(({ sink, rows }) => [sink.value, rows.length]);
    graphs.launch(JSON.stringify([prepared.key, e.rows, e.parts, takes, drawn]), moves, launches);
  } else for (const launch of launches()) gpu.launch(launch);
  let listed = step.address + BigInt(layout.gathered);
  for (const { sink, place, rows } of partsTo(job.parts, "device")) {
    for (const [first, count] of runsOf(rows.map(({ k }) => k))) {
      const { width } = place;
      const y = { address: sink.tensor.storage.address + BigInt(4 * width * first), width, stride: width };
      gpu.launch(gatherRows(count, listed, rowsAt(place, e), y));
      listed += BigInt(4 * count);
    }
  }
}

function drawLaunches({ powers, workspace }: ChunkRunner, job: ChunkJob, layout: StepLayout, e: Emitting): Launch[] {
  let at = workspace.step.address + BigInt(layout.draws);
  return partsTo(job.parts, "token").map(({ place, rows }) => {
    const launch = sample(rows.length, rowsAt(place, e), powers, at);
    at += BigInt(drawBytes * rows.length);
    return launch;
  });
}

/** Enqueues copies of what goes to the host. @returns what takes it from there */
function copyOut({ gpu }: Workspace, { parts }: ChunkJob, slot: Slot, e: Emitting): () => void {
  const places = new Map<Place, number>();
  let bytes = 0;
  for (const { sink, place } of parts) {
    if (!wantsHostRows(sink) || places.has(place)) continue;
    places.set(place, bytes);
    bytes += 4 * place.buffer.stride * countOf(place.buffer, e);
  }
  const drawn = partsTo(parts, "token").map((part) => {
    const at = bytes;
    bytes += 4 * part.sink.tokens.length;
    return { ...part, at };
  });
  if (bytes === 0) return () => undefined;
  const pinned = slot.out(bytes);
  for (const [{ buffer, width }, at] of places) {
    const { address } = rowsAt({ buffer, offset: 0, width }, e);
    gpu.copyToHost(pinned.address + BigInt(at), address, 4 * buffer.stride * countOf(buffer, e));
  }
  for (const { sink, at } of drawn) {
    gpu.copyToHost(pinned.address + BigInt(at), sink.tensor.storage.address, 4 * sink.tokens.length);
  }
  return () => {
    for (const { sink, rows, at } of drawn) {
      const tokens = new Uint32Array(pinned.buffer, at, sink.tokens.length);
      for (const { k } of rows) takeToken(sink, k, tokens[k]!); // each row of the sink has one
    }
    for (const part of parts) {
      const at = places.get(part.place);
      if (at === undefined || !wantsHostRows(part.sink)) continue;
      takeOutputRows(part, new Float32Array(pinned.buffer, at));
    }
  };
}

async function take({ gpu, slots }: Workspace, slot: Slot, taken: () => void): Promise<void> {
  try {
    await gpu.reached(slot.event);
    taken();
  } finally {
    slots.release(slot);
  }
}
