// Outputs of a step that is computed away from the host: which rows each one wants and where they go, as chunks of the
// step bring them.

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
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { AcceptedStep } from "../frame/program-frame.ts";
import type { StepTensor, TensorStorage } from "../frame/step-tensor.ts";
import type { RowSet } from "../plan/needs.ts";
import type { Place } from "../plan/plan.ts";
import { checkDraw } from "./draws.ts";

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

export interface DeviceSink<Storage extends TensorStorage> extends Wanted {
  readonly to: "device";
  readonly tensor: StepTensor<Storage>;
}

/** An output of tokens: rows of logits to draw from, and where the tokens go. */
export interface TokenSink<Storage extends TensorStorage> extends Wanted {
  readonly to: "token";
  readonly draws: readonly Draw[];
  /** Positions of the random numbers. */
  readonly positions: readonly number[];
  /** The tokens [rows] on the device. */
  readonly tensor: StepTensor<Storage>;
  /** The tokens [rows] on the host, once they have been read back. */
  readonly tokens: Int32Array;
  /** How many alternatives are wanted with log-probabilities. */
  readonly alternatives: number | undefined;
  /** By row, where they are wanted. */
  readonly logprobs: RowLogprobs[];
}

/**
 * Where an output goes: to the host, which may mean a copy of an input, to a tensor of the device, or to the choice of
 * tokens.
 */
export type Sink<Storage extends TensorStorage> = HostSink | InputSink | DeviceSink<Storage> | TokenSink<Storage>;

/** Makes a tensor of a step; of tokens with how many there are to choose from. */
export type MakeTensor<Storage extends TensorStorage> = (
  shape: readonly [number, number],
  vocabulary?: number,
) => StepTensor<Storage>;

/**
 * Makes room for a step's outputs.
 *
 * @param backend Its name, for errors.
 * @throws {UnsupportedError}; {@link OptionError} for a draw that is out of range; {@link MemoryError}
 */
export function makeSinks<Storage extends TensorStorage>(
  backend: string,
  { step, places }: AcceptedStep<PoolStorage>,
  widths: ReadonlyMap<ValueName, number>,
  make: MakeTensor<Storage>,
): readonly Sink<Storage>[] {
  const sinks: Sink<Storage>[] = [];
  try {
    for (const [i, output] of step.outputs.entries()) {
      const input = step.inputs[output.value];
      checkOutput(backend, output, input);
      const rows = places.outputRows[i]!; // one for each output
      const width = widths.get(output.value)!; // resolveStep has seen it
      sinks.push(makeSink(output, rows, width, input, places.sequences, make));
    }
    return sinks;
  } catch (error) {
    disposeTensors(sinks);
    throw error;
  }
}

function checkOutput(backend: string, output: Output, input: HostArray | DeviceTensor | undefined): void {
  if (output.to === "token") for (const draw of output.draw) checkDraw(backend, draw);
  if (output.to !== "score" && (output.to === "host" || input === undefined)) return;
  const what = output.to === "score" ? "score tokens" : `give the input "${output.value}" back as ${output.to}`;
  const remedy = "Ask for the value on the host.";
  throw new UnsupportedError(`The ${backend} backend does not ${what}`, remedy, { op: output.to });
}

function makeSink<Storage extends TensorStorage>(
  output: Output,
  rows: readonly number[],
  width: number,
  input: HostArray | DeviceTensor | undefined,
  sequences: readonly SequencePlace[],
  make: MakeTensor<Storage>,
): Sink<Storage> {
  const { value } = output;
  if (output.to === "token") {
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
export interface SinkPart<Of> {
  readonly sink: Of;
  readonly place: Place;
  readonly rows: readonly SinkRow[];
}

/**
 * What a chunk has of each output.
 *
 * @param places Where the chunk's plan has its values.
 * @param indices By row of the step, the row of the chunk's buffers that have all rows, and of those that have selected
 * ones.
 */
export function partsOf<Storage extends TensorStorage>(
  sinks: readonly Sink<Storage>[],
  places: ReadonlyMap<ValueName, Place>,
  indices: Readonly<Record<RowSet, ReadonlyMap<number, number>>>,
): readonly SinkPart<Sink<Storage>>[] {
  return sinks.flatMap((sink) => {
    const place = places.get(sink.value); // none of an input
    if (place === undefined) return [];
    const rows = sink.rows.flatMap((row, k) => {
      const index = indices[place.buffer.rows].get(row);
      return index === undefined ? [] : [{ k, index }];
    });
    return rows.length === 0 ? [] : [{ sink, place, rows }];
  });
}

/** The parts of one kind of output. */
export function partsTo<Storage extends TensorStorage, To extends Sink<Storage>["to"]>(
  parts: readonly SinkPart<Sink<Storage>>[],
  to: To,
): readonly SinkPart<Extract<Sink<Storage>, { to: To }>>[] {
  return parts.filter((part): part is SinkPart<Extract<Sink<Storage>, { to: To }>> => part.sink.to === to);
}

/** Numbers that follow each other: the first of each run, and how many it has. */
export function runsOf(numbers: readonly number[]): readonly (readonly [number, number])[] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === number) last[1]++;
    else runs.push([number, 1]);
  }
  return runs;
}

/** Whether rows of logits or activations come to the host. */
export function wantsHostRows<Storage extends TensorStorage>(sink: Sink<Storage>): boolean {
  return sink.to === "host" || (sink.to === "token" && sink.alternatives !== undefined);
}

/** Takes rows of a value that came to the host. Drawn tokens were taken before. @param data Of the value's buffer. */
export function takeOutputRows<Storage extends TensorStorage>(
  { sink, place, rows }: SinkPart<Sink<Storage>>,
  data: Float32Array,
): void {
  const { offset, width, buffer } = place;
  for (const { k, index } of rows) {
    const row = data.subarray(index * buffer.stride + offset, index * buffer.stride + offset + width);
    if (sink.to === "host") sink.tensor.data.set(row, k * width);
    if (sink.to !== "token" || sink.alternatives === undefined) continue;
    sink.logprobs[k] = logprobs(row, sink.tokens[k]!, sink.alternatives); // one for each row
  }
}

/** What kernels give instead of a token where a logit is NaN. */
const notANumber = 0xffffffff;

/** @throws {PolyllamaError} `ERR_BACKEND` where a logit was NaN */
export function takeToken<Storage extends TensorStorage>(
  { value, tokens }: TokenSink<Storage>,
  k: number,
  token: number,
): void {
  if (token === notANumber) {
    throw new PolyllamaError("ERR_BACKEND", `A logit of "${value}" is NaN; the backend computed wrongly.`);
  }
  tokens[k] = token;
}

/** What the step gives. */
export async function finishSinks<Storage extends TensorStorage>(
  sinks: readonly Sink<Storage>[],
  signal: AbortSignal,
): Promise<readonly OutputValue[]> {
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
export function disposeTensors<Storage extends TensorStorage>(sinks: readonly Sink<Storage>[]): void {
  for (const sink of sinks) if (sink.to === "device" || sink.to === "token") sink.tensor[Symbol.dispose]();
}
