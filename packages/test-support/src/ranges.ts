// What every source of weights must do with rows and columns: a read of some is what slicing the whole gives, several
// reads may run at once, and what the weight does not have is refused.

import { blockSizes, columnCount, type RowRange, rowCount, type WeightInfo, type WeightSource } from "@polyllama/core";
import { expect } from "vitest";
import { uniform } from "./random.ts";

/** Holds reads of every weight of a source to what slicing the whole gives, byte by byte. */
export async function expectRangesOfWhole(source: WeightSource, seed = 1): Promise<void> {
  const next = uniform(seed);
  const rangeOf = (all: number): RowRange => {
    const first = Math.floor(next() * all);
    return { first, count: 1 + Math.floor(next() * (all - first)) };
  };
  expect(source.weights.size).toBeGreaterThan(0);
  for (const info of source.weights.values()) {
    const { blockSize } = blockSizes[info.format];
    const [rows, blocks] = [rowCount(info), columnCount(info) / blockSize];
    const whole = await source.read(info.name);
    expect(whole.length, info.name).toBe(rows * blocks * blockSizes[info.format].blockBytes);
    const cuts: readonly (readonly [RowRange | undefined, RowRange | undefined])[] = [
      [undefined, { first: 0, count: Math.ceil(blocks / 2) }],
      [undefined, { first: Math.floor(blocks / 2), count: Math.ceil(blocks / 2) }],
      [
        { first: rows - 1, count: 1 },
        { first: blocks - 1, count: 1 },
      ],
      [{ first: 0, count: 0 }, rangeOf(blocks)],
      [rangeOf(rows), { first: blocks, count: 0 }],
      [rangeOf(rows), undefined],
      ...Array.from({ length: 5 }, () => [rangeOf(rows), rangeOf(blocks)] as const),
    ];
    await Promise.all(
      cuts.map(async ([someRows, someBlocks]) => {
        const columns = someBlocks && { first: someBlocks.first * blockSize, count: someBlocks.count * blockSize };
        const read = await source.read(info.name, { rows: someRows, columns });
        const expected = sliced(
          info,
          whole,
          someRows ?? { first: 0, count: rows },
          someBlocks ?? { first: 0, count: blocks },
        );
        expect(Buffer.compare(read, expected), `${info.name} ${JSON.stringify({ rows: someRows, columns })}`).toBe(0);
      }),
    );
    await expectRefusals(source, info);
    await expectLocation(source, info, whole);
  }
}

/** Where a weight is said to lie in a file there are its bytes. */
async function expectLocation(source: WeightSource, { name }: WeightInfo, whole: Uint8Array): Promise<void> {
  const location = source.locate?.(name);
  if (location === undefined) return;
  const { open } = await import("node:fs/promises"); // pages have no files
  await using file = await open(location.path, "r");
  const { dev, ino, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  expect([dev, ino, mtimeNs, ctimeNs].join()).toBe(location.version);
  const bytes = new Uint8Array(whole.length);
  expect((await file.read(bytes, 0, bytes.length, location.offset)).bytesRead).toBe(bytes.length);
  expect(Buffer.compare(bytes, whole), `${name} at ${location.offset}`).toBe(0);
}

/** Block by block, however slow. */
function sliced({ format, ...info }: WeightInfo, whole: Uint8Array, rows: RowRange, blocks: RowRange): Uint8Array {
  const { blockSize, blockBytes } = blockSizes[format];
  const pieces: Uint8Array[] = [];
  for (let row = rows.first; row < rows.first + rows.count; row++) {
    for (let block = blocks.first; block < blocks.first + blocks.count; block++) {
      const at = (row * (columnCount(info) / blockSize) + block) * blockBytes;
      pieces.push(whole.subarray(at, at + blockBytes));
    }
  }
  return Buffer.concat(pieces);
}

async function expectRefusals(source: WeightSource, info: WeightInfo): Promise<void> {
  const { blockSize } = blockSizes[info.format];
  const [rows, columns] = [rowCount(info), columnCount(info)];
  const refused = async (ranges: object, ...words: readonly string[]): Promise<void> => {
    const error: unknown = await source.read(info.name, ranges).then(
      () => expect.fail(`${info.name} ${JSON.stringify(ranges)} should have been refused`),
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "ERR_OPTION" });
    for (const word of [info.name, ...words]) expect(String(error)).toContain(word);
  };
  await refused({ columns: { first: 0, count: columns + blockSize } }, `columns 0 to ${columns + blockSize}`);
  await refused({ columns: { first: -blockSize, count: blockSize } }, `columns ${-blockSize} to 0`);
  await refused({ columns: { first: 0, count: blockSize / 2 + 0.25 } }, `columns 0 to ${blockSize / 2 + 0.25}`);
  await refused({ rows: { first: rows, count: 1 } }, `rows ${rows} to ${rows + 1}`);
  await refused({ first: 0, count: 1 }, "first");
  if (blockSize === 1) return;
  await refused({ columns: { first: 1, count: blockSize } }, `columns 1 to ${blockSize + 1}`, `blocks of ${blockSize}`);
  await refused({ columns: { first: 0, count: blockSize / 2 } }, `blocks of ${blockSize}`);
  await refused({ columns: { first: 0, count: 2 * columns } }, `blocks of ${blockSize}`);
}
