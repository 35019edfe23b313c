// A plan for people: a line for each step, with the buffers that it reads and writes and what it does on the way. Steps
// that come again for every layer stand once.

import { assignOffsets } from "./buffers.ts";
import { placesOf } from "./lifetimes.ts";
import { forOtherStep, isPlain, type PerOtherStep, type Place, type Plan, type PlanStep } from "./plan.ts";

/** What a step does beside what its label says. */
const notes: PerOtherStep<readonly string[]> = {
  embedding: () => [],
  gather: () => [],
  norm: () => [],
  convert: ({ norm, up }) => [...given("norm", norm), ...given("swiglu", up)],
  linear: ({ norm, gated, residual, firstRow, matrixRows, group }) => [
    ...given("norm", norm),
    ...given("swiglu", gated),
    ...given("residual", residual),
    ...(matrixRows < group.rows ? [`rows ${firstRow} to ${firstRow + matrixRows - 1} of ${group.rows}`] : []),
  ],
  rope: () => [],
  cache: ({ kRotation, q }) => [...given("rotates keys", kRotation), ...given("rotates queries", q)],
  attention: () => [],
  add: ({ normed }) => given("norm of the sum", normed),
};

function given(note: string, what: unknown): readonly string[] {
  return what === undefined ? [] : [note];
}

function written(step: PlanStep): readonly Place[] {
  if (step.kind === "cache") return step.q === undefined ? [] : [step.q.y];
  return step.kind === "add" && step.normed !== undefined ? [step.y, step.normed.y] : [step.y];
}

function nameOf({ buffer, offset }: Place): string {
  return `b${buffer.id}${offset === 0 ? "" : `+${offset}`}`;
}

/** Lines without line breaks, at most some 120 columns wide. */
export function printPlan(plan: Plan): readonly string[] {
  const rows = plan.steps.map((step) => {
    const to = written(step);
    const from = [...new Set(placesOf(step).filter((place) => !to.includes(place)))];
    const buffers = [...from.map(nameOf), ...(to.length === 0 ? [] : ["->", ...to.map(nameOf)])].join(" ");
    const also = [
      ...(isPlain(step) ? [] : forOtherStep(notes, step)),
      ...(step.rows === "selected" ? ["selected rows"] : []),
    ].join(", ");
    return [step.label, buffers, also] as const;
  });
  const keys = rows.map(([label, , also]) => `${label.replace(/\.\d+\./, ".*.")} ${also}`); // the number is a layer's
  const blocks: { readonly at: number; readonly period: number; readonly times: number }[] = [];
  for (let at = 0; at < rows.length; at += blocks.at(-1)!.period * blocks.at(-1)!.times)
    blocks.push({ at, ...repetition(keys, at) });
  const shown = blocks.flatMap(({ at, period }) => rows.slice(at, at + period));
  const widths = [0, 1].map((column) => Math.max(0, ...shown.map((row) => row[column]!.length)));
  const digits = String(rows.length).length;
  const lines = blocks.flatMap(({ at, period, times }) => {
    const own = rows.slice(at, at + period).map(([label, buffers, also], i) => {
      const number = String(at + i).padStart(digits);
      return `${number}  ${label.padEnd(widths[0]!)}  ${buffers.padEnd(widths[1]!)}  ${also}`.trimEnd();
    });
    if (times === 1) return own;
    const again = times === 2 ? "once more" : `${times - 1} times more`;
    return [...own, `${" ".repeat(digits)}  ... ${again}: steps ${at + period} to ${at + period * times - 1}`];
  });
  return [...lines, summary(plan)];
}

/** The most that repeats from here on: so many steps, so many times. */
function repetition(keys: readonly string[], at: number): { readonly period: number; readonly times: number } {
  let best = { period: 1, times: 1 };
  for (let period = 1; at + 2 * period <= keys.length; period++) {
    let end = at + period;
    while (end < keys.length && keys[end] === keys[end - period]) end++;
    const times = Math.floor((end - at) / period);
    if (times > 1 && period * times > best.period * best.times) best = { period, times };
  }
  return best;
}

function summary(plan: Plan): string {
  const { size } = assignOffsets(
    plan,
    plan.buffers.map(({ stride }) => 4 * stride),
  );
  const inputs = [...(plan.tokens === undefined ? [] : [plan.tokens]), ...plan.inputs.keys()];
  const from = inputs.length === 0 ? "" : ` from ${inputs.join(", ")}`;
  const values = [...plan.outputs].map(([value, place]) => `${value} in ${nameOf(place)}`).join(", ");
  return `${plan.steps.length} steps${from}${values === "" ? "" : ` to ${values}`}; activations take ${size} bytes a row`;
}
