// A chunk's kernels in the queue: one compute pass in one submission, unless it is so long that a browser's watchdog
// might object. Outputs are copied to where they go in the last one.

import type { Grid, PoolRows } from "../emit/dispatch.ts";
import type { Gpu } from "../gpu.ts";
import { type BoundDispatch, encode } from "./bindings.ts";
import { type PlacedChunk, poolRows, selectedRows } from "./chunk.ts";
import type { ChunkWork } from "./chunk-work.ts";
import type { Meter } from "./meter.ts";
import type { PoolBinding } from "./pool-binding.ts";
import type { Piece } from "./prepared-plan.ts";
import { copyOutputs, type Staged } from "./read-back.ts";
import { parallelDraws } from "./sampler.ts";
import type { Scratch } from "./scratch.ts";
import { copyInputs } from "./write-chunk.ts";

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

/** @returns what is on its way to the host. */
export async function submitChunk(
  gpu: Gpu,
  scratch: Scratch,
  submissions: Submissions,
  meter: Meter,
  work: ChunkWork,
): Promise<Staged> {
  const { prepared, chunk, pools, draws, samplers } = work;
  const { plan, mode, pieces } = prepared;
  const rows = poolRows(chunk);
  // those of the chunk
  const bound = [...pools].map(([pool, binding]): BoundPool => ({ binding, rows: rows.get(pool)! }));
  const drawn = draws.reduce((sum, part) => sum + part.rows.length, 0);
  let staged: Staged = [];
  let at = 0;
  do {
    if (at > 0) await submissions.pace();
    const what = `${mode} of ${chunk.rows} rows from ${plan.steps[pieces[at]?.step ?? 0]?.label ?? "nothing"} on`;
    submissions.submit(what, (encoder) => {
      if (at === 0) copyInputs(encoder, scratch, prepared, chunk, work.step);
      const pass = beginPass(encoder, meter, mode);
      for (let done = 0; at < pieces.length && done < gpu.limits.submissionWork; at++) {
        done += dispatchPiece(pass, pieces[at]!, at, chunk, bound);
      }
      const last = at === pieces.length;
      if (last) for (const { dispatch } of samplers) pass.dispatch(dispatch, [Math.min(drawn, parallelDraws), 1, 1]);
      pass.end();
      if (last) staged = copyOutputs(encoder, scratch, work);
    });
  } while (at < pieces.length);
  return staged;
}

interface BoundPool {
  readonly binding: PoolBinding;
  readonly rows: PoolRows;
}

/** @returns its multiplications */
function dispatchPiece(
  pass: Pass,
  { kernel }: Piece,
  at: number,
  chunk: PlacedChunk,
  pools: readonly BoundPool[],
): number {
  if ("variants" in kernel) {
    const rows = kernel.rows === "selected" ? selectedRows(chunk) : chunk.rows;
    const variant = kernel.variants.find((candidate) => rows <= candidate.rows)!; // the last is for any number
    pass.dispatch(variant, variant.grid(rows));
    return kernel.work * rows;
  }
  for (const { binding, rows } of pools) {
    for (const dispatch of binding.pieces[at]!) pass.dispatch(dispatch, dispatch.grid(rows)); // one list for each piece
  }
  return chunk.segments.reduce((sum, { rows, start }) => sum + kernel.work * rows * (start + rows), 0);
}

/** Dispatches one behind another. */
export interface Pass {
  dispatch(bound: BoundDispatch, grid: Grid): void;
  end(): void;
}

/** One pass for all, or one for each dispatch where they are timed. */
export function beginPass(encoder: GPUCommandEncoder, meter: Meter, label: string): Pass {
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
