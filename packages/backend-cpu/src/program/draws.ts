// Tokens that the library draws: where nothing but logits, seed and position decide. Draws with penalties, biases or
// masks, and those whose log-probabilities are asked for, are made on the host, from logits that are copied there.

import { createSampler, PolyllamaError, type ValueName } from "@polyllama/core";
import type { Draw, Output, SequencePlace, StepPlaces } from "@polyllama/core/device";
import { struct } from "@polyllama/planner";
import { draw } from "../native/structs.ts";

/** Most logits of a row: their weights lie in memory of a thread (native/sample.cpp). */
const mostLogits = 1 << 19;

const drawStruct = struct(draw);
export const drawBytes: number = drawStruct.size;

/** What the library gives instead of a token (native/sample.cpp). */
const [notANumber, noneAllowed] = [0xffffffff, 0xfffffffe];

/** A token that is to be drawn from a row of logits of the step. */
export interface TokenDraw {
  readonly value: ValueName;
  readonly row: number;
  readonly draw: Draw;
  /** Position of the random number. */
  readonly position: number;
  /** Where the token goes. */
  readonly tokens: Int32Array;
  readonly index: number;
}

type TokenOutput = Extract<Output, { readonly to: "token" }>;

/** Whether the library draws an output's tokens. */
export function drawsNatively(output: Output, width: number): output is TokenOutput {
  if (output.to !== "token" || output.logprobs !== undefined || width > mostLogits) return false;
  return output.draw.every(({ penalties, logitBias, mask }) => !penalties && !logitBias && !mask);
}

/** The draws of an output, whose tokens go to `tokens`. @throws {OptionError} for what is out of range */
export function tokenDraws(
  { value, draw: draws }: TokenOutput,
  rows: readonly number[],
  { sequences }: StepPlaces,
  tokens: Int32Array,
): readonly TokenDraw[] {
  return rows.map((row, index) => {
    const own = draws[index]!; // a draw for each row
    const { temperature, topK, topP, minP, seed } = own;
    createSampler({ temperature, topK, topP, minP, seed }); // checks them
    return { value, row, draw: own, position: own.position ?? positionAfter(row, sequences), tokens, index };
  });
}

/** Tokens before the one that follows a row of the step. */
function positionAfter(row: number, sequences: readonly SequencePlace[]): number {
  const place = sequences.find(({ first, rows }) => row < first + rows)!; // the last ends with the step
  return place.start + row - place.first + 1;
}

/** Writes a draw as the library reads it. @param row Of the logits. */
export function encodeDraw(view: DataView, at: number, { draw: given, position }: TokenDraw, row: number): void {
  const { temperature, topP, topK, minP, seed } = given;
  drawStruct.write(view, at, {
    topP,
    seedLow: seed % 2 ** 32,
    seedHigh: Math.floor(seed / 2 ** 32),
    scale: Math.LOG2E / temperature,
    position,
    topK: Math.min(topK, 2 ** 32 - 1),
    least: Math.ceil(minP * 2 ** 30),
    greedy: temperature === 0 ? 1 : 0,
    row,
  });
}

/** @throws {PolyllamaError} `ERR_BACKEND` where a logit was NaN, or all of them -Infinity */
export function takeToken({ value, tokens, index }: TokenDraw, token: number): void {
  if (token === notANumber || token === noneAllowed) {
    const what = token === notANumber ? `A logit of "${value}" is NaN` : `All logits of "${value}" are -Infinity`;
    throw new PolyllamaError("ERR_BACKEND", `${what}; the backend computed wrongly.`);
  }
  tokens[index] = token;
}
