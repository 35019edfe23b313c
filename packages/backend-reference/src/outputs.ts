// What a step gives: values on the host, tensors for later steps, drawn tokens and log-probabilities.

import { createSampler, logprobs, PolyllamaError, type Tensor } from "@polyllama/core";
import type { Draw, Output, OutputValue, RowLogprobs } from "@polyllama/core/device";
import { type StepRecord, StepTensor } from "@polyllama/planner";
import { type Matrix, row, takeRows } from "./matrix.ts";

/** An output, the rows of the step that it wants, and the sequence that each row belongs to. */
export interface WantedRows {
  readonly output: Output;
  readonly rows: readonly number[];
  /** Tokens of a row's sequence up to and including the row. */
  readonly history: (row: number) => readonly number[];
  /** Position of a row. */
  readonly position: (row: number) => number;
  readonly record: StepRecord;
}

/** @throws {PolyllamaError} `ERR_BACKEND` for logits that are NaN */
export function outputValue(value: Matrix, wanted: WantedRows): OutputValue {
  const { output, rows, record } = wanted;
  switch (output.to) {
    case "host":
      return { to: "host", tensor: tensor(takeRows(value, rows)) };
    case "device": {
      const { rows: count, width, data } = takeRows(value, rows);
      const storage = { data, read: async () => data.slice(), free: () => undefined };
      return { to: "device", tensor: new StepTensor([count, width], "activations", storage, record) };
    }
    case "token": {
      const tokens = rows.map((n, i) => drawn(row(value, n), output.draw[i]!, n, wanted)); // as many as rows
      const { logprobs: top } = output;
      return {
        to: "token",
        tokens: Int32Array.from(tokens),
        ...(top !== undefined && { logprobs: rows.map((n, i) => logprobs(row(value, n), tokens[i]!, top)) }),
      };
    }
    case "score": {
      const { targets, temperature = 1, top = 0 } = output;
      const scores = rows.map((n): RowLogprobs | undefined => {
        const target = targets[n]!; // as many as rows
        if (target < 0) return undefined;
        if (target >= value.width) {
          throw new PolyllamaError(
            "ERR_GRAPH",
            `Row ${n} has the target ${target}; there are tokens 0 to ${value.width - 1}.`,
          );
        }
        return logprobs(
          row(value, n).map((logit) => logit / temperature),
          target,
          top,
        );
      });
      return { to: "score", rows: scores };
    }
  }
}

export function tensor({ rows, width, data }: Matrix): Tensor {
  return { shape: [rows, width], data };
}

function drawn(logits: Float64Array, draw: Draw, row: number, { history, position }: WantedRows): number {
  const { penalties, logitBias, mask, position: at = position(row) + 1, ...options } = draw;
  const { promptLength = 0, ...factors } = penalties ?? {};
  const sampler = createSampler({ ...options, ...factors, ...(logitBias && { logitBias }) });
  const allowed = mask === undefined ? logits : logits.map((logit, id) => (isAllowed(mask, id) ? logit : -Infinity));
  return sampler.sample(allowed, penalties === undefined ? [] : history(row), promptLength, at);
}

function isAllowed(mask: Uint32Array, id: number): boolean {
  return (((mask[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1;
}
