// node-llama-cpp, as an engine of the benchmarks. Threads are given explicitly: its own choice is known to hang. The
// first argument is the file to import it from: the installed one, or a copy with one library of kernels alone. This
// file is left out of the type check, since the benchmark itself installs what it imports.

import type { LlamaContextSequence, Token } from "node-llama-cpp";
import { prompt, serve } from "./protocol.ts";

const { getLlama, LlamaLogLevel } = await import(process.argv[2] ?? "node-llama-cpp");

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
    await sequence.evaluateWithoutGeneratingNewTokens(prompt(tokens) as Token[]);
  },
  async rewind(tokens) {
    const end = sequence.nextTokenIndex;
    if (end > tokens) await sequence.eraseContextTokenRanges([{ start: tokens, end }]);
    if (sequence.nextTokenIndex !== tokens) throw new Error(`${sequence.nextTokenIndex} positions, not ${tokens}`);
  },
  async decode(tokens) {
    let count = 0;
    for await (const _ of sequence.evaluate([1] as Token[], { temperature: 0, yieldEogToken: true })) {
      if (++count === tokens) break;
    }
  },
});
