import { cpu } from "../backend-cpu/src/index.ts";
import { Llama } from "./src/index.ts";
const [path, set] = process.argv.slice(2);
const t0 = performance.now();
const llama = await Llama.load(path!, { backend: cpu({ threads: 2, ...(set && { instructionSet: set }) }), contextLength: 2048 });
console.log("load", ((performance.now() - t0) / 1000).toFixed(2), "rss MiB", (process.resourceUsage().maxRSS / 1024).toFixed(0));
const ids = Array.from({ length: 512 }, (_, i) => 1 + (i * 7919) % 31000);
const s = llama.createSequence();
for (let round = 0; round < 3; round++) {
  s.truncate(0);
  const a = performance.now();
  await s.continueTo(ids);
  const b = performance.now();
  let n = 0;
  for await (const _ of llama.generate([...s.tokens, 1], { sequence: s, maxTokens: 40, temperature: 0, ignoreEos: true })) n++;
  console.log("prefill", (512000 / (b - a)).toFixed(1), "decode", (40000 / (performance.now() - b)).toFixed(1), n);
}
await llama[Symbol.asyncDispose]();
