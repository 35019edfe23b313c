// The bounds that results are held to: derived from the arithmetic that the backend declares, never from what it
// happens to give.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dotError, reference, runWithBounds } from "@polyllama/backend-reference";
import { columnCount, type FormatName, type Graph, type RealArray, rowCount, type WeightSource } from "@polyllama/core";
import { type Device, type HostStep, loadGraph } from "@polyllama/core/device";
import { formats, offsetFormats } from "@polyllama/formats";
import type { RandomSource } from "@polyllama/test-support/weights";
import { expect, onTestFinished } from "vitest";

/** Unit roundoff of f32, and half of its least step, which a product that is too small for it is off by. */
const u = 2 ** -24;
const least = 2 ** -150;

/** A weight's f32 values. */
function valuesOf(source: RandomSource, name: string): Float32Array {
  const { format, shape } = source.weights.get(name)!;
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  formats[format].dequantize(source.bytes.get(name)!, values);
  return values;
}

/** Product and bound of `x w^T` in float64: [rows, M] each. */
export interface Judged {
  readonly value: Float64Array;
  readonly bound: Float64Array;
}

/** The exact value of a graph's one output, and the bound that follows from what the backend declares to round. */
export async function judge(
  graph: Graph,
  source: WeightSource,
  step: HostStep,
  { roundings }: Pick<Device, "roundings">,
): Promise<Judged> {
  await using device = reference();
  await using loaded = await loadGraph(device, graph, source);
  const [expected] = await runWithBounds(loaded, step, graph.outputs, roundings);
  const { value, bound } = expected!; // one output
  return { value: Float64Array.from(value.data), bound: Float64Array.from(bound.data) };
}

/** The part of each value that multiplies sums of x: c s + m for values s q + m, otherwise nothing. */
function offsets(format: FormatName, bytes: Uint8Array, count: number): Float32Array {
  const result = new Float32Array(count);
  const apart = Object.entries(offsetFormats).find(([name]) => name === format)?.[1];
  if (apart === undefined) return result;
  const { blockSize, blockBytes } = formats[format];
  for (let i = 0; i < count; i++) {
    const start = Math.floor(i / blockSize) * blockBytes;
    const j = Math.floor((i % blockSize) / apart.subBlock);
    result[i] = apart.middle * apart.scale(bytes, start, j) + apart.offset(bytes, start, j);
  }
  return result;
}

/** Elements whose scale and whose rounding of x is one. */
function blockOf(format: FormatName): number {
  return format === "q2_k" || format === "q3_k" || format === "q6_k" ? 16 : 32;
}

/**
 * linear with int8 activations, emulated: every block of x becomes integers times absmax / 127. Where a quotient lies
 * so near the middle of two integers that f32 may decide either way, the bound takes in both.
 */
export function emulateInt8Linear(x: Float32Array, source: RandomSource, name: string): Judged {
  const info = source.weights.get(name)!;
  const { format } = info;
  const K = columnCount(info);
  const M = rowCount(info);
  const w = valuesOf(source, name);
  const bytes = source.bytes.get(name)!;
  const block = blockOf(format);
  const plains = offsets(format, bytes, w.length);
  const rows = x.length / K;
  const rounded = new Float64Array(x.length);
  const doubt = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += block) {
    let most = 0;
    for (let i = start; i < start + block; i++) most = Math.max(most, Math.abs(x[i]!));
    const step = most / 127;
    for (let i = start; i < start + block && step > 0; i++) {
      const quotient = x[i]! / step;
      rounded[i] = Math.round(quotient) * step;
      const toMiddle = Math.abs(quotient - Math.floor(quotient) - 0.5);
      if (toMiddle < 127 * 4 * u) doubt[i] = step;
    }
  }
  const value = new Float64Array(rows * M);
  const bound = new Float64Array(rows * M);
  for (let n = 0; n < rows; n++) {
    for (let m = 0; m < M; m++) {
      let sum = 0;
      let most = 0;
      let doubtful = 0;
      for (let k = 0; k < K; k++) {
        const at = m * K + k;
        const plain = plains[at]!;
        const quant = w[at]! - plain;
        sum += rounded[n * K + k]! * quant + x[n * K + k]! * plain;
        most += Math.abs(x[n * K + k]!) * (Math.abs(quant) + Math.abs(plain));
        doubtful += doubt[n * K + k]! * Math.abs(quant);
      }
      value[n * M + m] = sum;
      // The scale of x is rounded once, its product with the weights' scale and that with the sum of integers likewise.
      bound[n * M + m] = u * (dotError(K) + 3) * most + doubtful + K * least;
    }
  }
  return { value, bound };
}

/** Every element within its bound; the message names the worst one. */
export function expectWithin(actual: RealArray, { value, bound }: Judged): void {
  expect(actual.length).toBe(value.length);
  let worst = 0;
  let at = -1;
  for (let i = 0; i < value.length; i++) {
    const excess = Math.abs(actual[i]! - value[i]!) / bound[i]!;
    if (!(excess <= worst)) {
      worst = excess;
      at = i;
    }
  }
  expect(worst, `element ${at}: ${actual[at]} against ${value[at]} within ${bound[at]}`).toBeLessThanOrEqual(1);
}

/** A folder that goes when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function argmax(values: RealArray): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
