// Outputs of a chunk on their way from the device: rows to tensors there, or to staging buffers that the host maps.

import { partsTo, runsOf, takeOutputRows, takeToken, wantsHostRows } from "@polyllama/planner";
import { type Gpu, usage } from "../gpu.ts";
import { selectedRows } from "./chunk.ts";
import type { ChunkWork } from "./chunk-work.ts";
import type { OutputPart } from "./outputs.ts";
import type { Scratch } from "./scratch.ts";
import type { ChunkDraws } from "./write-chunk.ts";

/** A buffer that the host reads, and what takes its content. */
interface StagedBuffer {
  readonly staging: GPUBuffer;
  take(data: ArrayBuffer): void;
}

/** In the order in which they are taken. */
export type Staged = readonly StagedBuffer[];

/** Encodes all copies; to be called once a chunk, behind its kernels. */
export function copyOutputs(
  encoder: GPUCommandEncoder,
  scratch: Scratch,
  { prepared, chunk, parts, draws }: Pick<ChunkWork, "prepared" | "chunk" | "parts" | "draws">,
): Staged {
  for (const part of partsTo(parts, "device")) {
    copyToTensor(encoder, prepared.buffers[part.place.buffer.id]!, part, part.sink.tensor.storage.buffer);
  }
  const staged = draws.length === 0 ? [] : [copyTokens(encoder, scratch, draws)];
  const wanted = parts.filter(({ sink }) => wantsHostRows(sink));
  for (const buffer of new Set(wanted.map(({ place }) => place.buffer))) {
    const bytes = (buffer.rows === "selected" ? selectedRows(chunk) : chunk.rows) * buffer.stride * 4;
    const staging = scratch.takeStaging(bytes);
    encoder.copyBufferToBuffer(prepared.buffers[buffer.id]!, 0, staging, 0, bytes);
    const own = wanted.filter(({ place }) => place.buffer === buffer);
    staged.push({
      staging,
      take(data) {
        for (const part of own) takeOutputRows(part, new Float32Array(data));
      },
    });
  }
  return staged;
}

/** Rows of a value to the rows of a tensor. */
function copyToTensor(encoder: GPUCommandEncoder, from: GPUBuffer, { place, rows }: OutputPart, to: GPUBuffer): void {
  const { width, offset, buffer } = place;
  for (const { k, index } of rows) {
    encoder.copyBufferToBuffer(from, 4 * (index * buffer.stride + offset), to, 4 * k * width, 4 * width);
  }
}

/** Chosen tokens to the tensors that later steps read, and to the host. */
function copyTokens(encoder: GPUCommandEncoder, scratch: Scratch, draws: readonly ChunkDraws[]): StagedBuffer {
  const chosen = scratch.growing.get("chosen");
  let count = 0;
  for (const { sink, rows } of draws) {
    for (const [first, many] of runsOf(rows.map(({ k }) => k))) {
      encoder.copyBufferToBuffer(chosen, 4 * count, sink.tensor.storage.buffer, 4 * first, 4 * many);
      count += many;
    }
  }
  const staging = scratch.takeStaging(4 * count);
  encoder.copyBufferToBuffer(chosen, 0, staging, 0, 4 * count);
  return {
    staging,
    take(data) {
      const tokens = new Uint32Array(data);
      let at = 0;
      // all were copied
      for (const { sink, rows } of draws) for (const { k } of rows) takeToken(sink, k, tokens[at++]!);
    },
  };
}

/** Waits for staged buffers, takes what is in them, and gives them back. */
export async function readBack(gpu: Gpu, scratch: Scratch, staged: Staged): Promise<void> {
  const mapped = await Promise.allSettled(staged.map(({ staging }) => gpu.wait(staging.mapAsync(usage.mapRead))));
  try {
    for (const [i, { staging, take }] of staged.entries()) {
      const outcome = mapped[i]!; // one for each
      if (outcome.status === "rejected") throw outcome.reason;
      take(staging.getMappedRange());
    }
  } finally {
    for (const [i, { staging }] of staged.entries()) {
      if (mapped[i]!.status === "fulfilled") scratch.returnStaging(staging);
      else gpu.free(staging); // there may have been no memory for it
    }
  }
}
