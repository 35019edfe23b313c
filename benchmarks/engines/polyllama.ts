// polyllama on one of its backends for the processor, as an engine of the benchmarks.

import { cpu } from "@polyllama/backend-cpu";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { Llama, type Sequence } from "polyllama";
import { prompt, serve } from "./protocol.ts";

let llama: Llama;
let sequence: Sequence;

serve({
  async load({ model, threads, contextLength, backend: name = "cpu", instructionSet, cacheFolder, cacheFormat }) {
    const options = {
      threads,
      ...(instructionSet !== undefined && { instructionSet }),
      ...(cacheFolder !== undefined && { cacheFolder }),
    };
    const backend = name === "cpu" ? cpu(options) : onnxruntime(options);
    llama = await Llama.load(model, { backend, contextLength, ...(cacheFormat !== undefined && { cacheFormat }) });
    sequence = llama.createSequence();
  },
  async prefill(tokens) {
    sequence.truncate(0);
    await sequence.continueTo(prompt(tokens));
  },
  async rewind(tokens) {
    sequence.truncate(tokens);
  },
  async decode(tokens) {
    const ids = [...sequence.tokens, 1];
    for await (const _ of llama.generate(ids, { sequence, temperature: 0, maxTokens: tokens, ignoreEos: true }));
  },
});
