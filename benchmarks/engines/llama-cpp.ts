// node-llama-cpp, as an engine of the benchmarks. Threads are given explicitly: its own choice is known to hang. This
// file is left out of the type check, since the benchmark itself installs what it imports.

import { getLlama, type LlamaContextSequence, LlamaLogLevel } from "node-llama-cpp";
import { prompt, serve } from "./protocol.ts";

let sequence: LlamaContextSequence;

serve({
  async load({ model, threads, contextLength }) {
    const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error });
    const loaded = await llama.loadModel({ modelPath: model, gpuLayers: 0 });
    const context = await loaded.createContext({
      contextSize: contextLength,
      batchSize: 512,
      threads: { ideal: threads, min: threads },
    });
    sequence = context.getSequence();
  },
  async prefill(tokens) {
    await sequence.clearHistory();
    await sequence.evaluateWithoutGeneratingNewTokens(
      prompt(tokens) as Parameters<typeof sequence.evaluateWithoutGeneratingNewTokens>[0],
    );
  },
  async decode(tokens) {
    let count = 0;
    for await (const _ of sequence.evaluate([1] as Parameters<typeof sequence.evaluate>[0], {
      temperature: 0,
      yieldEogToken: true,
    })) {
      if (++count === tokens) break;
    }
  },
});
