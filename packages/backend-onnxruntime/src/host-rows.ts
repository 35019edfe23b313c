// Rows of values that the host has without running the model: inputs, and embedded tokens.

import type { Graph, ValueName } from "@polyllama/core";
import type { HostArray } from "@polyllama/core/device";
import { type EmbeddingTable, embeddings } from "./embedding.ts";
import type { OnnxRuntimeParameters } from "./parameters.ts";

export class HostRows {
  readonly #graph: Graph;
  readonly #embeddings: ReadonlyMap<ValueName, { readonly tokens: ValueName; readonly table: EmbeddingTable }>;

  constructor(graph: Graph, parameters: OnnxRuntimeParameters) {
    this.#graph = graph;
    this.#embeddings = new Map(
      [...embeddings(graph)].map(([output, { tokens, table }]) => [output, { tokens, table: parameters.table(table) }]),
    );
  }

  /** Some rows of each of these values, tokens as numbers: [count, width] */
  async read(
    values: ReadonlySet<ValueName>,
    inputs: Readonly<Record<ValueName, HostArray>>,
    first: number,
    count: number,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<ValueName, Float32Array>> {
    const rows = new Map<ValueName, Float32Array>();
    for (const value of values) {
      const width = this.#graph.widths.get(value)!;
      const embedding = this.#embeddings.get(value);
      if (embedding === undefined) {
        // resolveStep saw that it is there
        const input = inputs[value]!.subarray(first * width, (first + count) * width);
        rows.set(value, input instanceof Float32Array ? input : Float32Array.from(input));
        continue;
      }
      const tokens = inputs[embedding.tokens] as Int32Array; // resolveStep refuses reals here
      const output = new Float32Array(count * width);
      await embedding.table.lookUp(tokens.subarray(first, first + count), output, signal);
      rows.set(value, output);
    }
    return rows;
  }
}
