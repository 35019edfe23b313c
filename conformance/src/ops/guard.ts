// Inputs that stand between guard values, so that a backend that writes to its inputs or beyond them is seen.

import type { HostArray, HostStep } from "@polyllama/core/device";

/** Elements before and behind an input that nobody may touch. */
const guards = 64;
const guardValue = 12345;

/** Copies that stand between guard values. */
export function guarded(inputs: HostStep["inputs"]): HostStep["inputs"] {
  return Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, guard(data)]));
}

/** What happened to guarded copies of inputs, if anything. */
export function disturbed(copies: HostStep["inputs"], inputs: HostStep["inputs"]): string | undefined {
  for (const [name, data] of Object.entries(inputs)) {
    const harm = harmOf(copies[name]!, data); // a copy of each
    if (harm !== undefined) return `the input "${name}" ${harm}`;
  }
  return undefined;
}

function guard<Kind extends HostArray>(data: Kind): Kind {
  // Kind's own constructor
  const around = new (data.constructor as new (length: number) => Kind)(data.length + 2 * guards);
  around.fill(guardValue);
  const copy = around.subarray(guards, guards + data.length) as Kind; // a view of the same kind
  copy.set(data);
  return copy;
}

function harmOf(copy: HostArray, data: HostArray): string | undefined {
  if (!data.every((value, i) => Object.is(value, copy[i]))) return "was overwritten";
  const around = new (copy.constructor as new (buffer: ArrayBufferLike) => HostArray)(copy.buffer); // all of its buffer
  const intact = (i: number): boolean => around[i] === guardValue && around[around.length - 1 - i] === guardValue;
  return Array.from({ length: guards }, (_, i) => i).every(intact) ? undefined : "was written beyond its ends";
}
