// Look-up of embedding rows on the host. The table is never in memory: the rows that a run needs are read from the
// checkpoint, each once, neighbours together and a few reads at a time, and dequantized. A table of a few megabytes
// is read whole at the first use.

import {
  columnCount,
  type EmbeddingNode,
  formatBytes,
  type Graph,
  type RowRange,
  rowCount,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { formats } from "@polyllama/formats";

/** Tables up to this many bytes are kept once read. */
const keptBytes = 4 << 20;
/** Rows are read together when no more than this many unneeded ones lie between them. */
const gap = 2;
const concurrentReads = 8;

export class EmbeddingTable {
  readonly #source: WeightSource;
  readonly #info: WeightInfo;
  readonly #rowBytes: number;
  #whole: Promise<Uint8Array> | undefined;

  constructor(source: WeightSource, info: WeightInfo) {
    this.#source = source;
    this.#info = info;
    this.#rowBytes = formatBytes(info.format, columnCount(info));
  }

  /** Writes the rows of the given tokens: [tokens, D]. The tokens must lie within the table. */
  async lookUp(tokens: Int32Array, output: Float32Array, signal: AbortSignal | undefined): Promise<void> {
    const width = columnCount(this.#info);
    const { dequantize } = formats[this.#info.format];
    const rows = rowCount(this.#info);
    if (rows * this.#rowBytes <= keptBytes) {
      this.#whole ??= this.#source.read(this.#info.name);
      this.#whole.catch(() => (this.#whole = undefined));
      const table = await this.#whole;
      for (const [i, token] of tokens.entries()) {
        const bytes = table.subarray(token * this.#rowBytes, (token + 1) * this.#rowBytes);
        dequantize(bytes, output.subarray(i * width, (i + 1) * width));
      }
      return;
    }
    const places = new Map<number, number[]>();
    for (const [i, token] of tokens.entries()) {
      const known = places.get(token);
      if (known === undefined) places.set(token, [i]);
      else known.push(i);
    }
    const ranges = merge([...places.keys()].sort((a, b) => a - b));
    const readSome = async (): Promise<void> => {
      for (let rows = ranges.pop(); rows !== undefined; rows = ranges.pop()) {
        const bytes = await this.#source.read(this.#info.name, { rows }, signal).catch((error: unknown) => {
          ranges.length = 0; // the other readers need not go on
          throw error;
        });
        for (let row = 0; row < rows.count; row++) {
          const [place, ...others] = places.get(rows.first + row) ?? [];
          if (place === undefined) continue;
          dequantize(
            bytes.subarray(row * this.#rowBytes, (row + 1) * this.#rowBytes),
            output.subarray(place * width, (place + 1) * width),
          );
          for (const other of others) output.copyWithin(other * width, place * width, (place + 1) * width);
        }
      }
    };
    const readers = await Promise.allSettled(
      Array.from({ length: Math.min(concurrentReads, ranges.length) }, readSome),
    );
    for (const reader of readers) if (reader.status === "rejected") throw reader.reason;
  }
}

function merge(sorted: readonly number[]): RowRange[] {
  const ranges: { first: number; count: number }[] = [];
  for (const row of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && row - (last.first + last.count) <= gap) last.count = row - last.first + 1;
    else ranges.push({ first: row, count: 1 });
  }
  return ranges;
}

/** The embedding nodes of a graph by their output. */
export function embeddings(graph: Graph): ReadonlyMap<string, EmbeddingNode> {
  const nodes = new Map<string, EmbeddingNode>();
  for (const node of graph.nodes) if (node.op === "embedding") nodes.set(node.output, node);
  return nodes;
}
