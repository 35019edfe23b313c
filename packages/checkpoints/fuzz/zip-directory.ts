// Zip archives whose directory says something else than their files: entries that lie on one another or on the
// directory itself, counts and sizes that do not fit, Zip64 fields where none are needed. The archive is taken apart,
// changed, and put together again, so that all but the change is in order.

import type { Random } from "@polyllama/test-support/fuzz/random";

/** Integers of a record, by what they stand for: offset within the record and bytes. */
const centralFields = {
  method: [10, 2],
  compressed: [20, 4],
  uncompressed: [24, 4],
  nameLength: [28, 2],
  extraLength: [30, 2],
  commentLength: [32, 2],
  disk: [34, 2],
  header: [42, 4],
} as const;
const endFields = {
  disk: [4, 2],
  directoryDisk: [6, 2],
  entriesHere: [8, 2],
  entries: [10, 2],
  directoryBytes: [12, 4],
  directory: [16, 4],
  commentLength: [20, 2],
} as const;

/** An archive's bytes in front of its directory, the directory's records, and what follows. */
interface Archive {
  readonly files: Uint8Array;
  readonly records: readonly Uint8Array[];
  readonly end: Uint8Array;
}

/** An archive without Zip64 whose directory was changed in one to four places. */
export function withDirectory(bytes: Uint8Array, random: Random): Uint8Array[] {
  const { files, records, end: original } = takeApart(bytes);
  const end = original.slice();
  let entries: Uint8Array[] = records.map((record) => record.slice());
  const size = (): number => entries.reduce((sum, { length }) => sum + length, 0);
  for (let count = random.chance(0.6) ? 1 : 2 + random.below(3); count > 0; count--) {
    const at = random.below(entries.length);
    const entry = entries[at];
    if (entry === undefined) break;
    const places = [
      files.length,
      files.length + size(),
      bytes.length,
      0,
      ...entries.map((other) => get(other, "header")),
    ];
    const place = (): number => random.pick(places) + random.pick([0, 0, 0, 1, -1, 4, -30, 30]);
    const value = (): number => (random.chance(0.5) ? place() : random.pick([0, 1, 65535, 2 ** 31, 2 ** 32 - 1]));
    switch (random.below(8)) {
      case 0:
        set(entry, centralFields.header, place());
        break;
      case 1: {
        const length = random.chance(0.5) ? value() : get(entry, "compressed") + random.pick([-1, 1, 46, size()]);
        set(entry, centralFields.compressed, length);
        if (random.chance(0.8)) set(entry, centralFields.uncompressed, length);
        break;
      }
      case 2:
        set(entry, random.pick(Object.values(centralFields)), value());
        break;
      case 3:
        entries.splice(random.below(entries.length), 0, random.chance(0.5) ? entry : entry.slice()); // twice
        break;
      case 4:
        entries.splice(at, 1 + random.below(3));
        break;
      case 5:
        entries[at] = withZip64(entry, [value(), value(), value()].slice(random.below(3)), random);
        break;
      case 6: {
        const other = random.pick(entries);
        // its fields
        entries = entries.map((one) => (one === entry ? joined(other.subarray(0, 46), one.subarray(46)) : one));
        break;
      }
      default:
        entries.reverse();
    }
  }
  set(end, endFields.entries, entries.length);
  set(end, endFields.entriesHere, entries.length);
  set(end, endFields.directoryBytes, size());
  if (random.chance(0.25)) {
    const field = random.pick(Object.values(endFields));
    set(end, field, random.pick([0, 1, entries.length + 1, size() + 46, files.length + 46, 65535, 2 ** 32 - 1]));
  }
  if (random.chance(0.8)) return [files, ...entries, end];
  const zip64 = zip64End(random, files.length, size(), entries.length);
  if (random.chance(0.8)) set(end, endFields.directory, 2 ** 32 - 1);
  return [files, ...entries, zip64, end];
}

function takeApart(bytes: Uint8Array): Archive {
  const end = bytes.length - 22; // no comment
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const directory = view.getUint32(end + 16, true);
  const records: Uint8Array[] = [];
  for (let at = directory; view.getUint32(at, true) === 0x02014b50; ) {
    const length = 46 + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    records.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { files: bytes.subarray(0, directory), records, end: bytes.subarray(end) };
}

function get(record: Uint8Array, field: keyof typeof centralFields): number {
  const [at, size] = centralFields[field];
  return record.subarray(at, at + size).reduceRight((value, byte) => value * 256 + byte, 0);
}

function set(record: Uint8Array, [at, size]: readonly [number, number], value: number): void {
  for (let i = 0; i < size; i++) record[at + i] = Math.floor(value / 256 ** i) & 255;
}

/** A record that leaves its sizes and place to a Zip64 field with the given numbers. */
function withZip64(entry: Uint8Array, values: readonly number[], random: Random): Uint8Array {
  const field = new Uint8Array(4 + 8 * values.length);
  set(field, [0, 2], 1);
  set(field, [2, 2], random.chance(0.8) ? 8 * values.length : random.below(65536));
  for (const [index, value] of values.entries()) set(field, [4 + 8 * index, 8], random.chance(0.8) ? value : 2 ** 63);
  const behindName = 46 + record16(entry, 28);
  const changed = joined(entry.subarray(0, behindName), field, entry.subarray(behindName));
  set(changed, centralFields.extraLength, record16(entry, 30) + field.length);
  for (const name of ["compressed", "uncompressed", "header"] as const) {
    if (random.chance(0.7)) set(changed, centralFields[name], 2 ** 32 - 1);
  }
  return changed;
}

function record16(record: Uint8Array, at: number): number {
  return (record[at] ?? 0) + 256 * (record[at + 1] ?? 0);
}

/** The end of a directory as Zip64 has it, and its locator. */
function zip64End(random: Random, directory: number, size: number, entries: number): Uint8Array {
  const record = new Uint8Array(76);
  const odd = (value: number): number =>
    random.chance(0.3) ? random.pick([0, 1, 2 ** 32, 2 ** 53, 2 ** 63, value + 1]) : value;
  record.set([0x50, 0x4b, 6, 6, 44]);
  set(record, [24, 8], odd(entries));
  set(record, [32, 8], odd(entries));
  set(record, [40, 8], odd(size));
  set(record, [48, 8], odd(directory));
  record.set([0x50, 0x4b, 6, 7], 56);
  set(record, [64, 8], odd(directory + size));
  set(record, [72, 4], 1);
  return record;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((bytes) => Array.from(bytes)));
}
