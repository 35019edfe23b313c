// The most probable continuation of a prompt, from logits on the host: what two devices must agree on wherever rounding
// does not decide.

import { llamaGraph, mostProbable, type Tensor } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import type { ModelSource } from "../parity/context.ts";

/** A prompt, which is read at once, and what follows token by token: `count` tokens in all. */
export async function greedyTokens(
  device: Device,
  model: ModelSource,
  prompt: readonly number[],
  count: number,
): Promise<readonly number[]> {
  const wanted = [{ value: "logits", rows: "last" }] as const;
  await using loaded = await loadGraph(device, llamaGraph(model.config), model, { wanted });
  const cache = loaded.pool(count).open();
  const ids = [...prompt];
  while (ids.length < count) {
    const tokens = Int32Array.from(ids.slice(cache.length)); // [N]
    const step = { inputs: { tokens }, sequences: [{ rows: tokens.length, cache }] };
    const [logits] = (await loaded.run(step, wanted)) as [Tensor]; // [1, V]
    ids.push(mostProbable(logits.data));
  }
  return ids;
}
