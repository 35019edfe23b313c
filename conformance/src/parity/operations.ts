// One operation of a model alone on each backend, fed with what the reference computed up to there, against its derived
// bound.

import { reference, runWithBounds } from "@polyllama/backend-reference";
import { type Graph, type Node, operands, parameters, type Tensor, type ValueName } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { extract } from "../comparison/extract.ts";
import { measure } from "../comparison/measure.ts";
import { type Context, localName } from "./context.ts";
import { type Measured, measured } from "./result.ts";
import { attempt, type Rival } from "./rival.ts";
import { linearWork, products } from "./work.ts";

/** @param values What the operation reads, as every backend gets it. */
export async function compareOperation(
  { source, signal, advance }: Context,
  rivals: readonly Rival[],
  layer: number | undefined,
  graph: Graph,
  node: Node,
  values: ReadonlyMap<ValueName, Int32Array | Float32Array>,
): Promise<void> {
  if (rivals.length === 0) return;
  const alone = extract(graph, [node]);
  const inputs = Object.fromEntries(operands(node).map((name) => [name, values.get(name)!])); // of the same graph
  const [weight] = parameters(node);
  const format = weight === undefined ? undefined : source.weights.get(weight)?.format;
  const facts = {
    ...(layer !== undefined && { layer }),
    value: localName(node.output),
    op: node.op,
    ...(format !== undefined && { format }),
    widths: [...operands(node), node.output].map((name) => graph.widths.get(name)!), // likewise
  };
  await using judge = reference();
  await using exactly = await loadGraph(judge, alone, source, signal && { signal });
  for (const { device, ops } of rivals) {
    const [expected] = await runWithBounds(exactly, { inputs }, alone.outputs, device.roundings, signal);
    const { value, bound } = expected!; // one value was asked for
    const finding = await attempt<Measured>(
      signal,
      async () => {
        await using loaded = await loadGraph(device, alone, source, signal && { signal });
        const [actual] = (await loaded.run({ inputs }, alone.outputs, signal)) as [Tensor]; // likewise
        return measured(measure(actual, value, (_, i) => bound.data[i]!));
      },
      (problem) => ({ worst: null, problem }),
    );
    ops.push({ ...facts, ...finding });
    advance(products(device.roundings) * linearWork(alone));
  }
}
