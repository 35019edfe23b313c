// The most probable continuation of a prompt, from logits on the host: what two backends must agree on wherever rounding does
// not decide.

import { type Backend, llamaGraph, mostProbable, type Tensor } from "@polyllama/core";
import type { ModelSource } from "../parity/context.ts";

/** A prompt, which is read at once, and what follows token by token: `count` tokens in all. */
export async function greedyTokens(
  backend: Backend,
  model: ModelSource,
  prompt: readonly number[],
  count: number,
): Promise<readonly number[]> {
  await using program = await backend.compile(llamaGraph(model.config), model);
  using cache = program.createCache(count);
  const ids = [...prompt];
  while (ids.length < count) {
    const tokens = Int32Array.from(ids.slice(cache.length)); // [N]
    const step = { inputs: { tokens }, batch: [{ rows: tokens.length, cache }] };
    const [logits] = (await program.run(step, [{ value: "logits", rows: "last" }])) as [Tensor]; // [1, V]
    ids.push(mostProbable(logits.data));
  }
  return ids;
}
