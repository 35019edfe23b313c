// Writes what the host tells the card of a chunk into pinned memory, and its activations behind that.

import { isDeviceTensor } from "@polyllama/core/device";
import { partsTo, type StepTensor } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import { noBlocks, rowBytes, writeRow } from "../kernels/row.ts";
import { drawBytes, writeDraw } from "../kernels/sample.ts";
import type { CudaTensor } from "../tensors.ts";
import type { ChunkJob } from "./chunk-job.ts";
import { tableAddresses } from "./chunk-rows.ts";
import type { StepCounts, StepLayout } from "./step-memory.ts";

/** The drawn tokens that rows take, where the step's tokens are on the card. */
export function drawnTokens({ accepted, prepared }: ChunkJob): CudaTensor | undefined {
  const input = prepared.plan.tokens === undefined ? undefined : accepted.step.inputs[prepared.plan.tokens];
  if (input === undefined || !isDeviceTensor(input)) return undefined;
  return (input as StepTensor<CudaTensor>).storage; // the frame has seen that it is this device's
}

export function countsOf(job: ChunkJob): StepCounts {
  const rowsOf = (to: "device" | "token"): number =>
    partsTo(job.parts, to).reduce((sum, { rows }) => sum + rows.length, 0);
  return {
    rows: job.chunk.rows.length,
    rotationStride: job.prepared.plan.rotationStride,
    selected: job.selected.length,
    gathered: rowsOf("device"),
    draws: rowsOf("token"),
    blocks: job.chunk.sequences.reduce((sum, sequence) => sum + (job.blocks[sequence]?.table.length ?? 0), 0),
  };
}

/** @param step Where the memory will lie on the card. */
export function writeChunk(job: ChunkJob, layout: StepLayout, buffer: ArrayBuffer, step: Handle): void {
  const { chunk, blocks, prepared } = job;
  const view = new DataView(buffer);
  const drawn = drawnTokens(job);
  view.setBigUint64(layout.tokens, drawn?.address ?? 0n, true);
  const tables = tableAddresses(chunk.sequences, blocks, step + BigInt(layout.tables));
  for (const [n, { row, sequence, position }] of chunk.rows.entries()) {
    const own = blocks[sequence];
    const token = drawn === undefined ? tokenOf(job, row) : row;
    const at = own === undefined ? noBlocks : { ...own, table: tables.get(sequence)! }; // each of the chunk has one
    writeRow(view, layout.rows + rowBytes * n, { token, blocks: at, position });
  }
  let table = layout.tables;
  for (const sequence of chunk.sequences) {
    const numbers = blocks[sequence]?.table ?? [];
    new Uint32Array(buffer, table, numbers.length).set(numbers);
    table += 4 * numbers.length;
  }
  const angles = chunk.rows.map(({ angle }) => angle);
  const pairs = 2 * prepared.plan.rotationStride * chunk.rows.length;
  prepared.rotations.write(angles, new Float32Array(buffer, layout.rotations, pairs));
  new Uint32Array(buffer, layout.selection, job.selected.length).set(job.selected);
  const gathered = partsTo(job.parts, "device").flatMap(({ rows }) => rows.map(({ index }) => index));
  new Uint32Array(buffer, layout.gathered, gathered.length).set(gathered);
  writeDraws(job, layout, view);
}

function writeDraws(job: ChunkJob, layout: StepLayout, view: DataView): void {
  let at = layout.draws;
  for (const { sink, rows } of partsTo(job.parts, "token")) {
    for (const { k, index } of rows) {
      const chosen = sink.tensor.storage.address + BigInt(4 * k);
      writeDraw(view, at, sink.draws[k]!, { row: index, position: sink.positions[k]!, chosen }); // one for each row
      at += drawBytes;
    }
  }
}

/** The token of a row of the step; 0 where nothing looks tokens up. */
function tokenOf({ accepted, prepared }: ChunkJob, row: number): number {
  const { tokens } = prepared.plan;
  return tokens === undefined ? 0 : (accepted.step.inputs[tokens] as Int32Array)[row]!; // resolveStep refuses others
}

/** Rows of activations of a chunk, from the host: `stride` words for each. */
export function writeActivations(
  { accepted, chunk }: ChunkJob,
  value: string,
  width: number,
  target: Float32Array,
  stride: number,
): void {
  const values = accepted.step.inputs[value] as Float32Array | Float64Array; // resolveStep refuses tokens here
  if (width < stride) target.fill(0);
  for (const [n, { row }] of chunk.rows.entries()) {
    target.set(values.subarray(row * width, (row + 1) * width), n * stride);
  }
}
