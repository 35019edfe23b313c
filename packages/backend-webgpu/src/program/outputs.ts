// Outputs of a step while it is computed: which rows each one wants and where they go, as chunks bring them.

import { logprobs, PolyllamaError, type Tensor, UnsupportedError, type ValueName } from "@polyllama/core";
import {
  type DeviceTensor,
  type Draw,
  type HostArray,
  isDeviceTensor,
  type Output,
  type OutputValue,
  type RowLogprobs,
  type SequencePlace,
} from "@polyllama/core/device";
import type { AcceptedStep, Place, PoolStorage, StepTensor } from "@polyllama/planner";
import type { GpuTensor } from "../tensors.ts";
import type { PlacedChunk } from "./chunk.ts";
import { checkDraw } from "./draws.ts";
import { notANumber } from "./sampler.ts";

interface Wanted {
  readonly value: ValueName;
  /** Rows of the step, in order. */
  readonly rows: readonly number[];
}

interface HostTensor extends Tensor {
  readonly data: Float32Array;
}

export interface HostSink extends Wanted {
  readonly to: "host";
  readonly tensor: HostTensor;
}

/** An input of the step that is an output, too. */
export interface InputSink extends Wanted {
  readonly to: "input";
  readonly tensor: HostTensor;
  readonly input: HostArray | DeviceTensor;
}

export interface DeviceSink extends Wanted {
  readonly to: "device";
  readonly tensor: StepTensor<GpuTensor>;
}

export interface TokenSink extends Wanted {
  readonly to: "token";
  readonly draws: readonly Draw[];
  /** Positions of the random numbers. */
  readonly positions: readonly number[];
  readonly tensor: StepTensor<GpuTensor>;
  readonly tokens: Int32Array;
  /** How many alternatives are wanted with log-probabilities. */
  readonly alternatives: number | undefined;
  readonly logprobs: RowLogprobs[];
}

export type Sink = HostSink | InputSink | DeviceSink | TokenSink;

/** Makes a tensor of a step; of tokens with their vocabulary. */
export type MakeTensor = (shape: readonly [number, number], vocabulary?: number) => StepTensor<GpuTensor>;

/** @throws {UnsupportedError}; `OptionError` for a draw that is out of range; `MemoryError` */
export function makeSinks(
  { step, places }: AcceptedStep<PoolStorage>,
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

function makeSink(
  output: Output,
  rows: readonly number[],
  width: number,
  input: HostArray | DeviceTensor | undefined,
  sequences: readonly SequencePlace[],
  make: MakeTensor,
): Sink {
  const { value } = output;
  if (output.to === "score" || (output.to !== "host" && input !== undefined)) {
    const what = output.to === "score" ? "score tokens" : `give the input "${value}" back as ${output.to}`;
    throw new UnsupportedError(`The WebGPU backend does not ${what}`, "Ask for the value on the host.", {
      op: output.to,
    });
  }
  if (output.to === "token") {
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
  if (output.to === "device") return { to: "device", value, rows, tensor: make([rows.length, width]) };
  const tensor = { shape: [rows.length, width] as const, data: new Float32Array(rows.length * width) };
  return input === undefined ? { to: "host", value, rows, tensor } : { to: "input", value, rows, tensor, input };
}

/** Tokens before the one that follows a row of the step. */
function positionAfter(row: number, sequences: readonly SequencePlace[]): number {
  const place = sequences.find(({ first, rows }) => row < first + rows)!; // the last ends with the step
  return place.start + row - place.first + 1;
}

/** Row `k` of an output is row `index` of the buffer that has its value. */
export interface SinkRow {
  readonly k: number;
  readonly index: number;
}

/** Of an output what a chunk has. */
export interface SinkPart<S extends Sink = Sink> {
  readonly sink: S;
  readonly place: Place;
  readonly rows: readonly SinkRow[];
}

/** @param outputs Where the chunk's plan has its values. */
export function partsOf(
  { segments }: PlacedChunk,
  outputs: ReadonlyMap<ValueName, Place>,
  sinks: readonly Sink[],
): readonly SinkPart[] {
  const all = new Map<number, number>();
  const selected = new Map<number, number>();
  for (const { first, source, rows, ends } of segments) {
    for (let i = 0; i < rows; i++) all.set(source + i, first + i);
    if (ends) selected.set(source + rows - 1, selected.size);
  }
  return sinks.flatMap((sink): readonly SinkPart[] => {
    const place = outputs.get(sink.value); // none of an input
    if (place === undefined) return [];
    const indices = place.buffer.rows === "all" ? all : selected;
    const rows = sink.rows.flatMap((row, k) => {
      const index = indices.get(row);
      return index === undefined ? [] : [{ k, index }];
    });
    return rows.length === 0 ? [] : [{ sink, place, rows }];
  });
}

/** The parts of one kind of output. */
export function partsTo<To extends Sink["to"]>(
  parts: readonly SinkPart[],
  to: To,
): readonly SinkPart<Extract<Sink, { to: To }>>[] {
  return parts.filter((part): part is SinkPart<Extract<Sink, { to: To }>> => part.sink.to === to);
}

/** Whether rows of logits or activations come to the host. */
export function wantsHostRows({ sink }: SinkPart): boolean {
  return sink.to === "host" || (sink.to === "token" && sink.alternatives !== undefined);
}

/** Takes rows of a value that came to the host. Drawn tokens were taken before. @param data Of the value's buffer. */
export function takeRows({ sink, place, rows }: SinkPart, data: Float32Array): void {
  const { offset, width, buffer } = place;
  for (const { k, index } of rows) {
    const row = data.subarray(index * buffer.stride + offset, index * buffer.stride + offset + width);
    if (sink.to === "host") sink.tensor.data.set(row, k * width);
    if (sink.to !== "token" || sink.alternatives === undefined) continue;
    sink.logprobs[k] = logprobs(row, sink.tokens[k]!, sink.alternatives); // one for each row
  }
}

/** @throws {PolyllamaError} `ERR_BACKEND` where a logit was NaN */
export function takeToken({ value, tokens }: TokenSink, k: number, token: number): void {
  if (token === notANumber) {
    throw new PolyllamaError("ERR_BACKEND", `A logit of "${value}" is NaN; the backend computed wrongly.`);
  }
  tokens[k] = token;
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
