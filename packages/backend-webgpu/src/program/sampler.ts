// Choosing tokens on the device, by kernels/sample.wgsl: the logits never come back, and a step may be encoded before
// its tokens are known, since they stay in a buffer from which the next step takes them.

import { type DrawOptions, exp2Table } from "@polyllama/core";
import { f32, struct, u32 } from "@polyllama/planner";
import { type Gpu, type PipelineSpec, usage } from "../gpu.ts";

const parameters = struct({ source: u32, vocabulary: u32, logits_offset: u32, logits_stride: u32 });

const drawFields = struct({
  source: u32, // number of the value that it is drawn from
  row: u32, // of that value
  position: u32, // of its random number
  scale: f32, // log2(e) / temperature, or 0 for the most probable token
  top_k: u32, // 0 keeps all
  top_p_low: u32, // p = mantissa / 2^shift, mantissa of 53 bits
  top_p_high: u32,
  top_p_shift: u32, // 0 keeps all
  least: u32, // weight that min-p keeps
  seed_low: u32,
  seed_high: u32,
});

/** Bytes of a draw in the kernel's buffer. */
export const drawBytes: number = drawFields.size;

export const sampleSpec: PipelineSpec = {
  kernel: "sample",
  parameters,
  structs: { Draw: drawFields },
  values: {},
  access: "rrrwww",
};

/** Draws that are made at once, at most: each takes memory for two words of every token. */
export const parallelDraws = 16;

/** The kernel's uniform. */
export function sampleParameters(source: number, vocabulary: number, offset: number, stride: number): ArrayBuffer {
  return parameters.encode({ source, vocabulary, logits_offset: offset, logits_stride: stride });
}

/** Where a draw's logits are, and the position of its random number. */
export interface DrawPlace {
  readonly source: number;
  readonly row: number;
  readonly position: number;
}

/** Writes what the kernel is told of a draw. */
export function writeDraw(
  view: DataView,
  at: number,
  { temperature, topK, topP, minP, seed }: DrawOptions,
  vocabulary: number,
  place: DrawPlace,
): void {
  const nucleus = topP < 1 ? fraction(topP) : { low: 0, high: 0, shift: 0 };
  drawFields.write(view, at, {
    ...place,
    scale: temperature === 0 ? 0 : Math.LOG2E / temperature,
    top_k: topK < vocabulary ? topK : 0,
    top_p_low: nucleus.low,
    top_p_high: nucleus.high,
    top_p_shift: nucleus.shift,
    least: Math.ceil(minP * 2 ** 30),
    seed_low: seed % 2 ** 32,
    seed_high: Math.floor(seed / 2 ** 32),
  });
}

/** A float64 below 1 as mantissa / 2^shift, exactly. */
function fraction(value: number): { readonly low: number; readonly high: number; readonly shift: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const high = view.getUint32(0);
  const exponent = high >>> 20;
  const implicit = exponent === 0 ? 0 : 1 << 20;
  return { low: view.getUint32(4), high: (high & 0xfffff) | implicit, shift: 1075 - Math.max(1, exponent) };
}

/** Core's table of powers of two. Call within `Gpu.guard`; whoever gets it frees it. */
export function powerTable(gpu: Gpu): GPUBuffer {
  const table = gpu.buffer("powers of two", exp2Table.byteLength, usage.storage | usage.copyTarget);
  gpu.device.queue.writeBuffer(table, 0, exp2Table);
  return table;
}
