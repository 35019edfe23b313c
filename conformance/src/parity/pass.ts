// The reference's way through a model, from the tokens to the logits, once, with the backends beside it: each is fed
// what the reference computed up to there, so that an error is seen where it is made and not where it arrives.

import { reference } from "@polyllama/backend-reference";
import type { RealArray, Tensor } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { extract } from "../comparison/extract.ts";
import { type Context, roundedValues } from "./context.ts";
import { compareLogits } from "./end-to-end.ts";
import { compareLayer } from "./layers.ts";
import { compareOperation } from "./operations.ts";
import type { EndToEnd } from "./result.ts";
import { attempt, type Rival } from "./rival.ts";
import { walk } from "./walk.ts";

/** @param opLayers Layers whose operations are compared one by one in any case. */
export async function compareAll(
  context: Context,
  rivals: readonly Rival[],
  opLayers: readonly number[],
): Promise<void> {
  const { source, graph, tokens, runs, signal } = context;
  const [embedding] = graph.nodes;
  let x = await embed(context); // [N, D]
  // the first node
  await compareOperation(context, rivals, undefined, graph, embedding!, new Map([["tokens", tokens]]));
  for (const rival of rivals) rival.chains = Array.from({ length: runs }, () => x);

  for (let layer = 0; layer < source.config.layers; layer++) {
    x = await compareLayer(context, rivals, layer, x, opLayers.includes(layer));
  }

  const head = extract(graph, graph.nodes.slice(-2)); // norm and logits
  const moving = rivals.map(({ device, chains }) => ({ device, starts: chains }));
  const { exact, walkers } = await walk(head, source, x, moving, context);
  const values = roundedValues(head, x, exact);
  for (const node of head.nodes) await compareOperation(context, rivals, undefined, head, node, values);
  for (const [i, rival] of rivals.entries()) {
    const { loaded, activations } = rival;
    const tolerance = walkers[i]!.tolerances.at(-1)!; // of the logits
    rival.endToEnd = await attempt<EndToEnd>(
      signal,
      () => compareLogits(loaded, tokens, tolerance, { activations, signal }),
      (problem) => {
        return { worst: null, problem, prefilled: 0, worstRow: 0, sameToken: 0, decided: 0, meanKl: null };
      },
    );
  }
}

async function embed({ source, graph, tokens, signal }: Context): Promise<RealArray> {
  const lookUp = extract(graph, graph.nodes.slice(0, 1));
  await using judge = reference();
  await using loaded = await loadGraph(judge, lookUp, source, signal && { signal });
  const [embedded] = (await loaded.run({ inputs: { tokens } }, lookUp.outputs, signal)) as [Tensor];
  return embedded.data;
}
