// polyllama's cpu backend in a page.

import { cpu } from "@polyllama/backend-cpu";
import { Llama, type Sequence } from "polyllama";
import type { PageEngine } from "./engine.ts";

let llama: Llama;
let sequence: Sequence;

export const engine: PageEngine = {
  async load({ url, threads, contextLength }) {
    llama = await Llama.load(url, { backend: cpu({ threads }), contextLength });
    sequence = llama.createSequence();
    return threads;
  },
  async round(promptTokens, generateTokens) {
    sequence.truncate(0);
    const started = performance.now();
    await sequence.continueTo(prompt(promptTokens));
    const read = performance.now();
    const ids = [...sequence.tokens, 1];
    const options = { sequence, temperature: 0, maxTokens: generateTokens, ignoreEos: true };
    for await (const _ of llama.generate(ids, options));
    const written = performance.now();
    return { prefill: (promptTokens / (read - started)) * 1000, decode: (generateTokens / (written - read)) * 1000 };
  },
};

function prompt(tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => (i === 0 ? 1 : 300 + ((i * 7919) % 30000)));
}
