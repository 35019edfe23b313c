// A chunk's kernels in the queue: one compute pass in one submission, unless it is so long that a browser's watchdog might object.
// Values that were asked for are copied to staging buffers in the last one.

import type { ValueName } from "@polyllama/core";
import type { Place } from "@polyllama/planner";
import { type BoundDispatch, encode } from "./bindings.ts";
import { type PlacedChunk, selectedRows } from "./chunk.ts";
import type { Grid } from "./emit/dispatch.ts";
import type { Gpu } from "./gpu.ts";
import type { BoundAttention, CacheBinding } from "./kv-cache.ts";
import type { Piece, PreparedPlan } from "./prepared-plan.ts";
import type { Profile } from "./profile.ts";
import type { Scratch } from "./scratch.ts";

/** Submissions that may wait on the device. */
const inFlight = 2;

/** What is submitted for a run, and how far it has come. */
export class Submissions {
  readonly #gpu: Gpu;
  readonly #signal: AbortSignal | undefined;
  readonly #running: Promise<void>[] = [];
  /** Reject with errors of the device. */
  readonly checks: Promise<void>[] = [];

  constructor(gpu: Gpu, signal: AbortSignal | undefined) {
    this.#gpu = gpu;
    this.#signal = signal;
  }

  /** Waits until another submission may be made. @throws the signal's reason */
  async pace(): Promise<void> {
    while (this.#running.length >= inFlight) await this.#gpu.wait(this.#running.shift()!);
    this.#signal?.throwIfAborted();
  }

  /** Submits what an encoder is given. */
  submit(what: string, action: (encoder: GPUCommandEncoder) => void): void {
    const { device } = this.#gpu;
    const { check } = this.#gpu.guarded(what, () => {
      const encoder = device.createCommandEncoder({ label: "step" });
      action(encoder);
      device.queue.submit([encoder.finish()]);
    });
    this.checks.push(check);
    const done = device.queue.onSubmittedWorkDone();
    done.catch(() => undefined); // a lost device rejects whoever waits
    this.#running.push(done);
  }
}

/** Where submissions are timed and counted. */
export interface Meter {
  readonly profile: Profile | undefined;
  dispatched: number;
}

/** The choice of a token from a plan's logits, and the buffer that it is in. */
export interface Choice extends BoundDispatch {
  readonly chosen: GPUBuffer;
  /** Whether the chunk's own token is the one chosen last. */
  readonly continues: boolean;
}

/** A value on its way back to the host. */
export interface Staged {
  readonly place: Place;
  readonly staging: GPUBuffer;
}

export interface ChunkWork {
  readonly prepared: PreparedPlan;
  readonly chunk: PlacedChunk;
  /** By segment. */
  readonly bindings: readonly (CacheBinding | undefined)[];
  readonly choice?: Choice | undefined;
}

/** @returns what the plan gives, by value; with a choice, the token instead of logits. */
export async function submitChunk(
  gpu: Gpu,
  scratch: Scratch,
  submissions: Submissions,
  meter: Meter,
  { prepared, chunk, bindings, choice }: ChunkWork,
): Promise<ReadonlyMap<ValueName, Staged>> {
  const { plan, mode, pieces, buffers } = prepared;
  const selected = selectedRows(chunk);
  const staged = new Map<ValueName, Staged>();
  let at = 0;
  do {
    if (at > 0) await submissions.pace();
    const what = `${mode} of ${chunk.rows} rows from ${plan.steps[pieces[at]?.step ?? 0]?.label ?? "nothing"} on`;
    submissions.submit(what, (encoder) => {
      if (at === 0 && choice?.continues) encoder.copyBufferToBuffer(choice.chosen, 0, scratch.tokens, 0, 4);
      const pass = beginPass(encoder, meter, mode);
      for (let work = 0; at < pieces.length && work < gpu.limits.submissionWork; at++) {
        const bound = bindings.map((binding) => binding?.pieces[at] ?? []);
        work += dispatchPiece(pass, pieces[at]!, chunk, bound, selected);
      }
      const last = at === pieces.length;
      if (last && choice !== undefined) pass.dispatch(choice, [1, 1, 1]);
      pass.end();
      if (!last) return;
      for (const [value, place] of plan.outputs) {
        const bytes = (place.buffer.rows === "selected" ? selected : chunk.rows) * place.buffer.stride * 4;
        const staging = scratch.takeStaging(choice === undefined ? bytes : 16);
        if (choice === undefined) encoder.copyBufferToBuffer(buffers[place.buffer.id]!, 0, staging, 0, bytes);
        else encoder.copyBufferToBuffer(choice.chosen, 0, staging, 0, 16);
        staged.set(value, { place, staging });
      }
    });
  } while (at < pieces.length);
  return staged;
}

/** @returns its multiplications */
function dispatchPiece(
  pass: Pass,
  { kernel }: Piece,
  chunk: PlacedChunk,
  bound: readonly (readonly BoundAttention[])[],
  selected: number,
): number {
  if ("variants" in kernel) {
    const rows = kernel.rows === "selected" ? selected : chunk.rows;
    const variant = kernel.variants.find((candidate) => rows <= candidate.rows)!; // the last is for any number
    pass.dispatch(variant, variant.grid(rows));
    return kernel.work * rows;
  }
  let work = 0;
  for (const [i, { rows, start }] of chunk.segments.entries()) {
    for (const dispatch of bound[i]!) pass.dispatch(dispatch, dispatch.grid(rows, start));
    work += kernel.work * rows * (start + rows);
  }
  return work;
}

interface Pass {
  dispatch(bound: BoundDispatch, grid: Grid): void;
  end(): void;
}

/** One pass for all, or one for each dispatch where they are timed. */
function beginPass(encoder: GPUCommandEncoder, meter: Meter, label: string): Pass {
  const { profile } = meter;
  const pass = profile === undefined ? encoder.beginComputePass({ label }) : undefined;
  return {
    dispatch(bound, grid) {
      meter.dispatched++;
      if (pass !== undefined) {
        encode(pass, bound, grid);
        return;
      }
      const timestampWrites = profile!.next(bound.pipeline.pipeline.label); // without one there is a pass
      const own = encoder.beginComputePass({ label: bound.label, timestampWrites });
      encode(own, bound, grid);
      own.end();
    },
    end() {
      if (pass === undefined) profile!.resolve(encoder);
      else pass.end();
    },
  };
}

/** Waits for values, hands them over one by one, and gives their staging back. */
export async function readStaged(
  gpu: Gpu,
  scratch: Scratch,
  staged: ReadonlyMap<ValueName, Staged>,
  take: (value: ValueName, place: Place, data: ArrayBuffer) => void,
): Promise<void> {
  const entries = [...staged];
  const mapped = await Promise.allSettled(entries.map(([, { staging }]) => gpu.wait(staging.mapAsync(1)))); // to read
  try {
    for (const [i, [value, { place, staging }]] of entries.entries()) {
      const outcome = mapped[i]!;
      if (outcome.status === "rejected") throw outcome.reason;
      take(value, place, staging.getMappedRange());
    }
  } finally {
    for (const [, { staging }] of entries) scratch.returnStaging(staging);
  }
}
