// polyllama on its onnxruntime backend, as an engine of the benchmarks.

import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { Llama, type Sequence } from "polyllama";
import { prompt, serve } from "./protocol.ts";

let llama: Llama;
let sequence: Sequence;

serve({
  async load({ model, threads, contextLength, cacheFolder }) {
    const backend = onnxruntime({ threads, ...(cacheFolder !== undefined && { cacheFolder }) });
    llama = await Llama.load(model, { backend, contextLength });
    sequence = llama.createSequence();
  },
  async prefill(tokens) {
    sequence.truncate(0);
    await sequence.continueTo(prompt(tokens));
  },
  async decode(tokens) {
    const ids = [...sequence.tokens, 1];
    for await (const _ of llama.generate(ids, { sequence, temperature: 0, maxTokens: tokens, ignoreEos: true }));
  },
});
