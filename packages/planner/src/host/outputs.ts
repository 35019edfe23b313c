// What a step gives where its values are on the host: matrices, tensors for later steps, drawn tokens and
// log-probabilities.

import { createSampler, logprobs, PolyllamaError, type RealArray } from "@polyllama/core";
import type { Draw, Output, OutputValue, RowLogprobs, StepPlaces } from "@polyllama/core/device";
import type { StepRecord } from "../frame/step-record.ts";
import { StepTensor } from "../frame/step-tensor.ts";
import { HostMemory } from "./tensors.ts";

/** A value of a step, in the rows that {@link rowsToCompute} gives. */
export interface ComputedRows {
  readonly width: number;
  /** A view [width] of a row of the step. */
  row(n: number): RealArray;
  /** The given rows [rows, width], for the caller to keep. */
  take(rows: readonly number[]): RealArray;
}

/** What is known of a step beside its values. */
export interface StepContext {
  readonly places: StepPlaces;
  readonly record: StepRecord;
  /** The device. */
  readonly owner: object;
  /** Tokens of a sequence of the step, at positions before `end`; without a cache from the step's own first one on. */
  history(sequence: number, end: number): readonly number[];
}

/** The rows that an output reads, of those that it wants: what is not scored need not be computed. */
export function rowsToCompute(output: Output, rows: readonly number[]): readonly number[] {
  return output.to === "score" ? rows.filter((n) => output.targets[n]! >= 0) : rows; // one target per row
}

/**
 * An output of a step that was computed.
 *
 * @param rows Of the step, as `resolveStep` placed them.
 * @throws {PolyllamaError} `ERR_BACKEND` for logits that are NaN; `ERR_GRAPH` for targets beyond the vocabulary.
 */
export function outputValue(
  output: Output,
  rows: readonly number[],
  value: ComputedRows,
  step: StepContext,
): OutputValue {
  const shape = [rows.length, value.width] as const;
  switch (output.to) {
    case "host":
      return { to: "host", tensor: { shape, data: value.take(rows) } };
    case "device": {
      const memory = new HostMemory(step.owner, value.take(rows));
      return { to: "device", tensor: new StepTensor(shape, "activations", memory, step.record) };
    }
    case "token": {
      const tokens = rows.map((n, i) => drawn(value.row(n), output.draw[i]!, n, step)); // as many as rows
      const { logprobs: top } = output;
      return {
        to: "token",
        tokens: Int32Array.from(tokens),
        ...(top !== undefined && { logprobs: rows.map((n, i) => logprobs(value.row(n), tokens[i]!, top)) }),
      };
    }
    case "score":
      return { to: "score", rows: rows.map((n) => scored(output, n, value)) };
  }
}

function drawn(logits: RealArray, draw: Draw, n: number, { places, history }: StepContext): number {
  const sequence = places.sequences.findIndex(({ first, rows }) => n < first + rows);
  const { first, start } = places.sequences[sequence]!; // every row has a sequence
  const next = start + n - first + 1;
  const { penalties, logitBias, mask, position = next, ...options } = draw;
  const { promptLength = 0, ...factors } = penalties ?? {};
  const sampler = createSampler({ ...options, ...factors, ...(logitBias && { logitBias }) });
  const allowed = mask === undefined ? logits : logits.map((logit, id) => (isAllowed(mask, id) ? logit : -Infinity));
  return sampler.sample(allowed, penalties === undefined ? [] : history(sequence, next), promptLength, position);
}

function isAllowed(mask: Uint32Array, id: number): boolean {
  return (((mask[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1;
}

type Score = Extract<Output, { to: "score" }>;

function scored({ targets, temperature = 1, top = 0 }: Score, n: number, value: ComputedRows): RowLogprobs | undefined {
  const target = targets[n]!; // as many as rows
  if (target < 0) return undefined;
  if (target >= value.width) {
    throw new PolyllamaError(
      "ERR_GRAPH",
      `Row ${n} has the target ${target}; there are tokens 0 to ${value.width - 1}.`,
    );
  }
  const logits = value.row(n);
  return logprobs(temperature === 1 ? logits : Float64Array.from(logits, (logit) => logit / temperature), target, top);
}
