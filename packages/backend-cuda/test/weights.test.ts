// Loading: pieces are read ahead of those on their way, in bounded number; a read that fails and a weight that is no
// number are errors that name the tensor, in every format; and nothing is left behind.

import { buildGraph, CheckpointError, type FormatName, formatBytes, type WeightSource } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated, errorOf } from "./support.ts";

const columns = 256;

/** A matrix of zeros, as the stored bytes of every format may be, behind which a test stands. */
function source(format: FormatName, rows: number, read: (first: number, count: number) => Promise<Uint8Array>) {
  const info = { name: "w", shape: [rows, columns], format };
  const made: WeightSource = {
    name: "file",
    weights: new Map([["w", info]]),
    read: async (_, ranges) => Uint8Array.from(await read(ranges!.rows!.first, ranges!.rows!.count)),
    fingerprint: async () => "",
  };
  return made;
}

function graphOf(rows: number) {
  return buildGraph((g) => [g.linear("y", g.activations("x", columns), g.weight("w", [rows, columns]))]);
}

await describeWithEmulation("loading weights", (emulation) => {
  const { control } = emulation;

  test("a few pieces are read at once, and one that fails names the tensor and its rows", async () => {
    control.reset();
    const rows = 300_000;
    const bytesOf = (count: number) => formatBytes("q2_k", count * columns);
    let [flying, most, begun] = [0, 0, 0];
    const failing = source("q2_k", rows, async (first, count) => {
      most = Math.max(most, ++flying);
      begun++;
      await new Promise((resolve) => setTimeout(resolve, 2));
      flying--;
      if (first > 0) throw new CheckpointError({ file: "file" }, "the disk is gone", "Look for it.");
      return new Uint8Array(bytesOf(count));
    });
    await using device = cuda(emulated(emulation));
    const graph = graphOf(rows);
    const error = await errorOf(() => loadGraph(device, graph, failing));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(/tensor "w": rows \d+ to \d+ could not be read\..*the disk is gone/);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
    expect(begun).toBeLessThanOrEqual(9);
    expect(flying).toBe(0); // nothing reads on when the caller closes the file
  });

  test("an abort ends the load with its own reason, and gives everything back", async () => {
    control.reset();
    const rows = 100_000;
    const zeros = source("q2_k", rows, async (_, count) => new Uint8Array(formatBytes("q2_k", count * columns)));
    const abort = new AbortController();
    const reason = new Error("enough");
    const device = cuda(emulated(emulation));
    const options = { signal: abort.signal, onProgress: () => abort.abort(reason) };
    await expect(loadGraph(device, graphOf(rows), zeros, options)).rejects.toBe(reason);
    await device[Symbol.asyncDispose]();
    expect(control.live()).toBe(0);
  });

  const formatNames = Object.keys(formats) as FormatName[]; // the record's own keys
  test.each(formatNames)("a NaN in %s is found, and not where there is none", async (format) => {
    control.reset();
    const rows = 5;
    const { blockBytes, blockSize, findNonFinite } = formats[format];
    const rowBytes = formatBytes(format, columns);
    const stored = new Uint8Array(rows * rowBytes);
    const read = async (first: number, count: number) => stored.slice(first * rowBytes, (first + count) * rowBytes);
    const device = cuda(emulated(emulation));
    const compile = async (): Promise<void> => {
      await using _ = await loadGraph(device, graphOf(rows), source(format, rows, read));
    };
    stored.fill(0xda); // no exponent has all its bits
    await compile();
    // Every byte of a block in turn becomes 0xff; what that spoils, core knows.
    const block = blockSize === 1 ? 3 : 0;
    let found = 0;
    for (const at of [...Array(blockBytes).keys()].filter((byte) => byte < 8 || byte > blockBytes - 16)) {
      const place = 2 * rowBytes + block * blockBytes + at;
      stored[place] = 0xff;
      const bad = findNonFinite(stored) >= 0;
      if (bad) {
        found++;
        const error = await errorOf(compile);
        expect(error.message).toMatch(/tensor "w": row 2, .* holds a NaN or an infinity/);
      } else await compile();
      stored[place] = 0xda;
    }
    expect(found).toBeGreaterThan(0);
    await device[Symbol.asyncDispose]();
    expect(control.reports()).toBe("");
    expect(control.live()).toBe(0);
  });
});
