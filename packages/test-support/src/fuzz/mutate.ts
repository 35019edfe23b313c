// What is done to sound files: bits flipped, bytes cut out, doubled and moved, numbers replaced by the ones that
// programs get wrong, values of JSON exchanged for others. Everything follows from the given random numbers.

import { flatten, type Pieces, part, sizeOf, splice } from "./pieces.ts";
import type { Random } from "./random.ts";

export interface Field {
  readonly offset: number;
  /** Bytes. A varint's may change, the others' stay. */
  readonly size: number;
  readonly kind: "integer" | "varint";
}

/** A sound file and what there is to aim at. */
export interface Sample {
  readonly bytes: Uint8Array;
  readonly fields: readonly Field[];
  /** Where structure stands: mutations that do not aim at a field fall in here. */
  readonly from?: number;
  readonly to?: number;
}

/** A sample with one to four mutations; sometimes with a part of another. */
export function mutated(sample: Sample, others: readonly Sample[], random: Random): Pieces {
  const { bytes, fields, from = 0, to = bytes.length } = sample;
  let pieces: Pieces = [bytes];
  for (let count = random.chance(0.6) ? 1 : 2 + random.below(3); count > 0; count--) {
    if (fields.length > 0 && random.chance(0.55)) pieces = atField(pieces, random.pick(fields), random);
    else pieces = anywhere(pieces, from, Math.min(to, sizeOf(pieces)), others, random);
  }
  return pieces;
}

const nasty: readonly bigint[] = [
  0n,
  1n,
  2n,
  127n,
  128n,
  255n,
  256n,
  32767n,
  65535n,
  65536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

function atField(pieces: Pieces, { offset, size, kind }: Field, random: Random): Pieces {
  const old = flatten(part(pieces, offset, size));
  let value = 0n;
  for (let i = old.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(old[i]!);
  const choice = random.below(6);
  if (choice === 0) value += BigInt(random.below(5) - 2);
  else if (choice === 1) value ^= 1n << BigInt(random.below(8 * size));
  else if (choice === 2) value = BigInt(random.u32());
  else if (choice === 3) value = BigInt(sizeOf(pieces) + random.below(65) - 32);
  else value = random.pick(nasty);
  return splice(pieces, offset, size, [kind === "varint" ? varint(value) : little(value, size)]);
}

function little(value: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Uint8Array.of(...bytes, Number(rest));
}

function anywhere(pieces: Pieces, from: number, to: number, others: readonly Sample[], random: Random): Pieces {
  const at = from + random.below(Math.max(1, to - from));
  const length = 1 + random.below(random.chance(0.8) ? 16 : Math.max(1, to - at));
  if (random.chance(0.002)) return splice(pieces, at, 0, [repeated(part(pieces, at, length), random)]);
  switch (random.below(9)) {
    case 0: {
      const byte = flatten(part(pieces, at, 1))[0] ?? 0;
      return splice(pieces, at, 1, [Uint8Array.of(byte ^ (1 << random.below(8)))]);
    }
    case 1:
      return splice(pieces, at, 1, [Uint8Array.of(random.pick([0, 1, 127, 128, 254, 255, random.below(256)]))]);
    case 2:
      return part(pieces, 0, at);
    case 3:
      return splice(pieces, at, length, []);
    case 4:
      return splice(pieces, at, 0, part(pieces, at, length)); // doubled
    case 5:
      return splice(pieces, at, 0, [Uint8Array.from({ length: 1 + random.below(8) }, () => random.below(256))]);
    case 6: {
      const target = from + random.below(Math.max(1, to - from));
      return splice(splice(pieces, at, length, []), target, 0, part(pieces, at, length)); // moved
    }
    case 7: {
      const { bytes } = random.pick(others);
      const start = random.below(bytes.length);
      return splice(pieces, at, random.below(2) * length, [bytes.subarray(start, start + length)]);
    }
    default: {
      const size = random.pick([1, 2, 4, 8]);
      return splice(pieces, at, size, [little(random.pick(nasty), size)]);
    }
  }
}

/** A part of a file over and over, up to a megabyte: what is small but many. */
function repeated(pieces: Pieces, random: Random): Uint8Array {
  const bytes = flatten(pieces);
  const times = Math.floor((random.pick([1, 16, 1024]) * 1024) / Math.max(1, bytes.length));
  return flatten(new Array(times).fill(bytes));
}

/** JSON text with one to four of its values changed. */
export function mutatedJson(original: string, random: Random): string {
  let changed: unknown = JSON.parse(original);
  for (let count = random.chance(0.6) ? 1 : 2 + random.below(3); count > 0; count--)
    changed = changeMember(changed, random);
  return text(changed, random);
}

/** Walks down to some member and changes it. */
function changeMember(value: unknown, random: Random): unknown {
  if (typeof value !== "object" || value === null || random.chance(0.1)) return other(value, random);
  const record = value as Record<string, unknown>; // arrays too are walked by key
  const keys = Object.keys(record);
  if (keys.length === 0) return other(value, random);
  const key = random.pick(keys);
  switch (random.below(8)) {
    case 0:
      if (Array.isArray(value)) value.splice(Number(key), 1 + random.below(3));
      else delete record[key];
      return value;
    case 1: {
      const from = random.pick(keys);
      record[key] = structuredClone(record[from]);
      return value;
    }
    case 2: {
      const added = random.pick([...keys, "__proto__", "constructor", "toString", "length", "", "0"]);
      if (Array.isArray(value)) value.splice(Number(key), 0, structuredClone(record[random.pick(keys)]));
      else
        Object.defineProperty(record, added, {
          value: other(null, random),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      return value;
    }
    default:
      Object.defineProperty(record, key, {
        value: changeMember(record[key], random),
        enumerable: true,
        configurable: true,
        writable: true,
      });
      return value;
  }
}

function other(value: unknown, random: Random): unknown {
  if (typeof value === "number" && random.chance(0.6)) {
    return random.pick([value + 1, value - 1, -value, value / 2, value * 2, value * 2 ** 32, 0]);
  }
  if (typeof value === "string" && random.chance(0.6)) {
    const at = random.below(value.length + 1);
    const inserted = random.pick([
      "",
      "\u0000",
      "\ud800",
      "🦙",
      "▁",
      " ",
      "a",
      "<0x41>",
      "\n",
      "(",
      "[",
      "\\",
      "[^",
      "+".repeat(9),
    ]);
    return value.slice(0, at) + inserted + value.slice(at + random.below(3));
  }
  return random.pick<() => unknown>([
    () => null,
    () => true,
    () => false,
    () => "",
    () => "x".repeat(random.pick([1, 100, 10_000])),
    () => [],
    () => ({}),
    () => random.pick([0, -1, 1, 0.5, 1e308, -1e308, 1e-320, 2 ** 31, 2 ** 53, 65536, random.u32()]),
    () => [value, value],
    () => ({ type: value }),
    () => nested(random.pick([3, 50, 20_000]), random.chance(0.5)),
  ])();
}

/** Stands for a depth that JSON.stringify could not write itself. */
function nested(depth: number, arrays: boolean): string {
  return `\u0001${arrays ? "[" : "{"}${depth}\u0001`;
}

function text(value: unknown, random: Random): string {
  let json = JSON.stringify(value) ?? "null";
  json = json.replace(/"\\u0001([[{])(\d+)\\u0001"/g, (_, open: string, depth: string) =>
    open === "["
      ? "[".repeat(Number(depth)) + "]".repeat(Number(depth))
      : `${'{"a":'.repeat(Number(depth))}0${"}".repeat(Number(depth))}`,
  );
  if (!random.chance(0.1)) return json;
  const at = random.below(json.length + 1);
  return (
    json.slice(0, at) + random.pick(["", ",", "}", "]", '"', "1e999", "-", "\u0000"]) + json.slice(at + random.below(4))
  );
}
