// One chunk of a step: makes room for what it needs, binds its plan to the pools that its sequences have their blocks
// in, and submits it.

import type { Step } from "@polyllama/core/device";
import { type AcceptedStep, partsOf, partsTo, type StepCache } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import { bindPool, bindSampler } from "./bind-plan.ts";
import { type PlacedChunk, type SequenceBlocks, splitsOf } from "./chunk.ts";
import type { Meter } from "./meter.ts";
import { type DrawPart, type GpuSink, rowIndices } from "./outputs.ts";
import type { PoolBinding } from "./pool-binding.ts";
import type { Home, PreparedPlan, SamplerBinding } from "./prepared-plan.ts";
import type { Staged } from "./read-back.ts";
import { drawBytes, parallelDraws } from "./sampler.ts";
import type { ScratchPool } from "./scratch-pool.ts";
import { type Submissions, submitChunk } from "./submit.ts";
import { tableEntries, writeChunk } from "./write-chunk.ts";

/** What chunks of a program run with. */
export interface ChunkRunner {
  readonly home: Home;
  readonly meter: Meter;
  /** Bytes that split attention keeps between its kernels for each piece of keys. */
  readonly splitBytes: number;
}

/** And those of a step. */
export interface StepChunks extends ChunkRunner {
  readonly step: Step;
  readonly sinks: readonly GpuSink[];
  readonly submissions: Submissions;
}

/** Where sequences have their keys and values. Blocks that they share and write into are copied first. */
export async function placeBlocks(
  { places, caches }: AcceptedStep<PoolMemory>,
  scratchPool: ScratchPool,
  run: StepChunks,
): Promise<readonly (SequenceBlocks | undefined)[]> {
  const scratch = await scratchPool.assign(places);
  for (const cache of caches) await cache?.pool.storage.ready;
  const copied = caches.flatMap((cache) => (cache === undefined || cache.copies.length === 0 ? [] : [cache]));
  await copyBlocks(copied, run);
  return caches.map((cache, i) => {
    if (cache === undefined) return scratch[i];
    const { table, start, pool } = cache;
    return { pool: pool.storage, table, start };
  });
}

async function copyBlocks(caches: readonly StepCache<PoolMemory>[], { home, submissions }: StepChunks): Promise<void> {
  if (caches.length === 0) return;
  const between = await home.scratch.copyBuffer(Math.max(...caches.map(({ pool }) => pool.storage.largestBlock)));
  await submissions.pace();
  submissions.submit("copies of KV blocks", (encoder) => {
    for (const { pool, copies } of caches) pool.storage.copy(encoder, copies, between);
  });
}

/** @returns what is on its way to the host. @throws {MemoryError}; the signal's reason */
export async function runChunk(run: StepChunks, chunk: PlacedChunk, prepared: PreparedPlan): Promise<Staged> {
  const { home, step, sinks, submissions, meter } = run;
  const { gpu, scratch } = home;
  const parts = partsOf(sinks, prepared.plan.outputs, rowIndices(chunk));
  const tokens = partsTo(parts, "token");
  await reserve(run, chunk, tokens);
  const samplers = new Map<string, SamplerBinding>();
  for (const { sink } of tokens) samplers.set(sink.value, await bindSampler(home, prepared, sink.value));
  const draws = tokens.map((part) => ({ ...part, source: samplers.get(part.sink.value)!.source })); // bound above
  const pools = new Map<PoolMemory, PoolBinding>();
  for (const { blocks } of chunk.segments) {
    if (blocks !== undefined) pools.set(blocks.pool, await bindPool(home, prepared, blocks.pool));
  }
  writeChunk(gpu, scratch, prepared, chunk, step, draws);
  const work = { step, prepared, chunk, pools, parts, draws, samplers: [...samplers.values()] };
  return submitChunk(gpu, scratch, submissions, meter, work);
}

/** Makes room in the buffers that grow. */
async function reserve(
  { home, splitBytes }: ChunkRunner,
  chunk: PlacedChunk,
  tokens: readonly DrawPart[],
): Promise<void> {
  const draws = tokens.reduce((sum, { rows }) => sum + rows.length, 0);
  const vocabulary = tokens.reduce((most, { place }) => Math.max(most, place.width), 0);
  const words = 4 * vocabulary * Math.min(draws, parallelDraws);
  await home.scratch.growing.reserve({
    tables: 4 * tableEntries(chunk),
    partials: chunk.mode === "decode" ? splitBytes * splitsOf(chunk) : 0,
    draws: drawBytes * draws,
    chosen: 4 * draws,
    keys: words,
    weights: words,
  });
}
