// wllama in a page: llama.cpp's server inside WebAssembly, so speeds are those that it says itself. Left out of the
// type check, since whoever starts it installs what it imports.

import { Wllama } from "@wllama/wllama/esm/index.js";
import wasm from "@wllama/wllama/esm/wasm/wllama.wasm?url";
import type { PageEngine } from "./engine.ts";

const quiet = () => {};
const logger = { debug: quiet, log: quiet, warn: quiet, error: console.error };
const wllama = new Wllama({ default: wasm }, { logger });

export const engine: PageEngine = {
  async load({ url, threads, contextLength }) {
    const blob = await (await fetch(url)).blob();
    await wllama.loadModel([blob], { n_ctx: contextLength, n_batch: 512, n_threads: threads, n_gpu_layers: 0 });
    return wllama.isMultithread() ? wllama.getNumThreads() : 1;
  },
  async round(promptTokens, generateTokens) {
    // It takes and gives text alone. Synthetic vocabularies have no piece for `~`, so each is a token of one byte,
    // behind BOS and the space that llama.cpp puts first; and noise would write bytes that are no UTF-8, which it
    // fails at, so one piece is always the likeliest.
    const { timings } = await wllama.createCompletion({
      prompt: "~".repeat(promptTokens - 2),
      max_tokens: generateTokens,
      temperature: 0,
      logit_bias: { 400: 1e6 },
      ignore_eos: true,
      cache_prompt: false,
    });
    const { prompt_n: read, predicted_n: written } = timings;
    if (Math.abs(read - promptTokens) > 2 || written !== generateTokens) {
      throw new Error(`wllama read ${read} tokens and wrote ${written}, not ${promptTokens} and ${generateTokens}.`);
    }
    return { prefill: timings.prompt_per_second, decode: timings.predicted_per_second };
  },
};
