// How wide the bounds of cases are, as data that can be kept: a bound follows from a case, a seed and a backend's
// declared roundings, whatever the backend then computes, so that one that grew is seen by comparing with what was
// recorded. Cases that are held to bounds of the backend's own values (`model:nodes`, `model:layer`,
// `model:vocabulary`) have none; theirs are derived as those of single operations are.

import { reference } from "@polyllama/backend-reference";
import type { RoundingProfile } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import type { CaseResult } from "./case.ts";
import { forwardDevice } from "./forward.ts";

/** Mean and largest of what a case allows, by address. */
export type Bounds = Readonly<Record<string, readonly [mean: number, largest: number]>>;

/** A case that allows more than it did. */
export interface Widened {
  readonly address: string;
  readonly before: readonly [mean: number, largest: number];
  readonly now: readonly [mean: number, largest: number];
}

/** Digits that are kept: what is computed in float64 has them on every machine. */
const digits = 9;

/** The bounds of the cases that were run. */
export function boundsOf(results: readonly CaseResult[]): Bounds {
  return Object.fromEntries(
    results.flatMap(({ address, allowed }) => {
      if (allowed === undefined) return [];
      const [mean, largest] = allowed.map((value) => Number(value.toPrecision(digits))) as [number, number]; // both
      return [[address, [mean, largest] as const]];
    }),
  );
}

/** Cases that allow more than before. Those that were not there before allow what they allow. */
export function widened(before: Bounds, now: Bounds): readonly Widened[] {
  return Object.entries(now).flatMap(([address, bounds]) => {
    const known = before[address];
    const wider = known !== undefined && (bounds[0] > known[0] || bounds[1] > known[1]);
    return wider ? [{ address, before: known, now: bounds }] : [];
  });
}

/** The reference in the name of a backend: cases allow on it what they allow that backend. */
export function inNameOf(roundings: RoundingProfile): Device {
  return forwardDevice(reference(), { name: "reference in the name of another backend", roundings });
}
