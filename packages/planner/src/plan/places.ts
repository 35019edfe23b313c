// Where values are while a plan is being made: which are in a buffer already, as a whole or in the rows that are
// selected, and which are in the form that linears want.

import type { Graph, RmsNormNode, SwigluNode, ValueName } from "@polyllama/core";
import type { Conversion, LinearInput } from "./fusion.ts";
import type { RowSet } from "./needs.ts";
import type { Norm, Place, PlanBuffer, PlanStep } from "./plan.ts";

export interface Layout {
  readonly graph: Graph;
  /** Rows of buffers are a multiple of so many words. */
  readonly padding: number;
  readonly conversion: Conversion | undefined;
  readonly steps: PlanStep[];
  readonly buffers: PlanBuffer[];
  readonly places: Map<ValueName, Place>;
  readonly gathered: Map<ValueName, Place>;
  readonly converted: Map<string, Place>;
}

/** A buffer of its own. */
export function fresh(l: Layout, width: number, rows: RowSet, words: number = width): Place {
  const buffer = { id: l.buffers.length, rows, stride: Math.ceil(words / l.padding) * l.padding };
  l.buffers.push(buffer);
  return { buffer, offset: 0, width };
}

/** A place for a value that a step computes. */
export function define(l: Layout, value: ValueName, rows: RowSet): Place {
  const place = fresh(l, l.graph.widths.get(value)!, rows);
  l.places.set(value, place);
  return place;
}

/** A value in the rows that a step computes; selected ones are gathered first. */
export function operand(l: Layout, value: ValueName, rows: RowSet): Place {
  const x = l.places.get(value)!; // its step came before
  if (rows === "all" || x.buffer.rows === "selected") return x;
  const known = l.gathered.get(value);
  if (known !== undefined) return known;
  const y = fresh(l, x.width, "selected");
  l.gathered.set(value, y);
  l.steps.push({ kind: "gather", label: `rows of ${value} [${x.width}]`, rows, x, y });
  return y;
}

/** What a linear reads, and the norm that is left to it. */
export function linearOperand(
  l: Layout,
  { value, norm, swiglu, converted }: LinearInput,
  rows: RowSet,
): { readonly x: Place; readonly norm: Norm | undefined } {
  if (!converted) return { x: operand(l, norm?.x ?? value, rows), norm: normOf(norm) };
  const key = JSON.stringify([value, rows]);
  const known = l.converted.get(key);
  if (known !== undefined) return { x: known, norm: undefined };
  const y = convert(l, value, norm, swiglu, rows);
  l.converted.set(key, y);
  return { x: y, norm: undefined };
}

function convert(
  l: Layout,
  value: ValueName,
  norm: RmsNormNode | undefined,
  swiglu: SwigluNode | undefined,
  rows: RowSet,
): Place {
  const x = operand(l, norm?.x ?? swiglu?.gate ?? value, rows);
  const up = swiglu === undefined ? undefined : operand(l, swiglu.up, rows);
  const { values, words, extraWords } = l.conversion!; // without one nothing is converted
  const y = fresh(l, x.width, rows, Math.ceil(x.width / values) * words + extraWords);
  l.steps.push({ kind: "convert", label: `converted ${value} [${x.width}]`, rows, x, norm: normOf(norm), up, y });
  return y;
}

export function normOf(node: RmsNormNode): Norm;
export function normOf(node: RmsNormNode | undefined): Norm | undefined;
export function normOf(node: RmsNormNode | undefined): Norm | undefined {
  return node && { weight: node.weight, eps: node.eps };
}
