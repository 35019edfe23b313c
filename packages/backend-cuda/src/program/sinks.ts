// Outputs of a step while it is computed: for each one which rows it wants and where they go, as chunks bring them.

import { logprobs, PolyllamaError, type Tensor, UnsupportedError, type ValueName } from "@polyllama/core";
import {
  type DeviceTensor,
  type Draw,
  type HostArray,
  isDeviceTensor,
  type Output,
  type OutputValue,
  type RowLogprobs,
} from "@polyllama/core/device";
import type { AcceptedStep, StepTensor } from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import { notANumber } from "../kernels/sample.ts";
import type { CudaTensor } from "../tensors.ts";

interface Rows {
  readonly value: ValueName;
  /** Rows of the step, in order. */
  readonly rows: readonly number[];
}

export interface HostSink extends Rows {
  readonly to: "host";
  readonly tensor: Tensor & { readonly data: Float32Array };
}

/** An input of the step that is an output, too. */
export interface InputSink extends Rows {
  readonly to: "input";
  readonly tensor: Tensor & { readonly data: Float32Array };
  readonly input: HostArray | DeviceTensor;
}

export interface DeviceSink extends Rows {
  readonly to: "device";
  readonly tensor: StepTensor<CudaTensor>;
}

export interface TokenSink extends Rows {
  readonly to: "token";
  readonly draws: readonly Draw[];
  /** Positions of the random numbers. */
  readonly positions: readonly number[];
  readonly tensor: StepTensor<CudaTensor>;
  readonly tokens: Int32Array;
  /** How many alternatives are wanted with log-probabilities. */
  readonly alternatives: number | undefined;
  readonly logprobs: RowLogprobs[];
}

export type Sink = HostSink | InputSink | DeviceSink | TokenSink;

/** Whether a sink's rows of logits or activations come to the host. */
export function wantsHostRows(sink: Sink): boolean {
  return sink.to === "host" || (sink.to === "token" && sink.alternatives !== undefined);
}

/** Makes tensors of a step: so many elements, of tokens with their vocabulary. */
export type MakeTensor = (shape: readonly [number, number], vocabulary?: number) => StepTensor<CudaTensor>;

/** @throws {UnsupportedError}; `MemoryError` */
export function makeSinks(
  { step, places }: AcceptedStep<PoolMemory>,
  widths: ReadonlyMap<ValueName, number>,
  make: MakeTensor,
): readonly Sink[] {
  const sinks: Sink[] = [];
  try {
    for (const [i, output] of step.outputs.entries()) {
      const rows = places.outputRows[i]!; // one for each output
      const width = widths.get(output.value)!; // resolveStep has seen it
      sinks.push(makeSink(output, rows, width, step.inputs[output.value], places.sequences, make));
    }
    return sinks;
  } catch (error) {
    disposeTensors(sinks);
    throw error;
  }
}

type Sequences = AcceptedStep<PoolMemory>["places"]["sequences"];

function makeSink(
  output: Output,
  rows: readonly number[],
  width: number,
  input: HostArray | DeviceTensor | undefined,
  sequences: Sequences,
  make: MakeTensor,
): Sink {
  const { value } = output;
  if (output.to === "score" || (output.to !== "host" && input !== undefined)) {
    const what = output.to === "score" ? "score tokens" : `give the input "${value}" back as ${output.to}`;
    throw new UnsupportedError(`The CUDA backend does not ${what}`, "Ask for the value on the host.", {
      op: output.to,
    });
  }
  if (output.to !== "token") {
    if (output.to === "device") return { to: "device", value, rows, tensor: make([rows.length, width]) };
    const tensor = { shape: [rows.length, width] as const, data: new Float32Array(rows.length * width) };
    return input === undefined ? { to: "host", value, rows, tensor } : { to: "input", value, rows, tensor, input };
  }
  for (const draw of output.draw) checkDraw(draw);
  return {
    to: "token",
    value,
    rows,
    draws: output.draw,
    positions: rows.map((row, i) => output.draw[i]!.position ?? positionAfter(row, sequences)), // a draw for each row
    tensor: make([rows.length, 1], width),
    tokens: new Int32Array(rows.length),
    alternatives: output.logprobs,
    logprobs: [],
  };
}

function checkDraw({ penalties, logitBias, mask }: Draw): void {
  if (penalties === undefined && logitBias === undefined && mask === undefined) return;
  throw new UnsupportedError(
    "The CUDA backend draws tokens without penalties, biases and masks",
    "Ask for the logits on the host, and draw with `createSampler`.",
    { op: "token" },
  );
}

/** Tokens before the one that follows a row of the step. */
function positionAfter(row: number, sequences: Sequences): number {
  const place = sequences.find(({ first, rows }) => row < first + rows)!; // the last ends with the step
  return place.start + row - place.first + 1;
}

/** Takes rows of a value that came to the host: row `k` of the sink. */
export function takeRow(sink: Sink, k: number, row: Float32Array): void {
  if (sink.to === "host") sink.tensor.data.set(row, k * row.length);
  if (sink.to !== "token" || sink.alternatives === undefined) return;
  sink.logprobs[k] = logprobs(row, sink.tokens[k]!, sink.alternatives); // the token was taken before
}

/** @throws {PolyllamaError} `ERR_BACKEND` where a logit was NaN */
export function takeToken(sink: TokenSink, k: number, token: number): void {
  if (token === notANumber) {
    throw new PolyllamaError("ERR_BACKEND", `A logit of "${sink.value}" is NaN; the backend computed wrongly.`);
  }
  sink.tokens[k] = token;
}

/** What the step gives. */
export async function finishSinks(sinks: readonly Sink[], signal: AbortSignal): Promise<readonly OutputValue[]> {
  const values: OutputValue[] = [];
  for (const sink of sinks) {
    if (sink.to === "input") await fillFromInput(sink, signal);
    if (sink.to === "device") values.push({ to: "device", tensor: sink.tensor });
    else if (sink.to === "token") {
      const { tokens, alternatives, logprobs: found } = sink;
      values.push({ to: "token", tokens, ...(alternatives !== undefined && { logprobs: found }) });
    } else values.push({ to: "host", tensor: sink.tensor });
  }
  return values;
}

async function fillFromInput({ input, rows, tensor }: InputSink, signal: AbortSignal): Promise<void> {
  const data = isDeviceTensor(input) ? await input.read(signal) : input;
  const [, width] = tensor.shape;
  for (const [k, row] of rows.entries()) tensor.data.set(data.subarray(row * width, (row + 1) * width), k * width);
}

/** Frees tensors that nobody is given. */
export function disposeTensors(sinks: readonly Sink[]): void {
  for (const sink of sinks) if (sink.to === "device" || sink.to === "token") sink.tensor[Symbol.dispose]();
}
