// `npm run bench:capacity`: whether a larger cache slows decoding when it is filled alike. Two sequences of one model,
// measured in turn.

import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { Llama } from "polyllama";
import { readArguments } from "../scripts/arguments.mjs";
import { prompt } from "./engines/protocol.ts";

const options = readArguments(
  "npm run bench:capacity",
  "Whether a larger cache slows decoding when it is filled alike.",
  {
    threads: { type: "string", default: "2", about: "threads" },
    rounds: { type: "string", default: "7", about: "rounds, of which medians are taken" },
  },
);
const rounds = Number(options.rounds);
const fill = 128;
const tokens = 32;
await using llama = await Llama.load("synthetic://tinyllama-1.1b?seed=1&format=q4_0&context=4096", {
  backend: onnxruntime({ threads: Number(options.threads) }),
});
const sequences = [256, 4096].map((capacity) => llama.createSequence(capacity));
const speeds: number[][] = [[], []];
for (let round = -1; round < rounds; round++) {
  for (const [i, sequence] of sequences.entries()) {
    await sequence.continueTo(prompt(fill));
    const started = performance.now();
    for await (const _ of llama.generate([...sequence.tokens, 1], {
      sequence,
      temperature: 0,
      maxTokens: tokens,
      ignoreEos: true,
    }));
    if (round >= 0) speeds[i]!.push((tokens / (performance.now() - started)) * 1000);
  }
}
const [small, large] = speeds.map((values) => values.sort((a, b) => a - b)[Math.floor(rounds / 2)]!);
console.log(
  `decode at fill ${fill}, medians of ${rounds} rounds: capacity 256 ${small!.toFixed(1)} tok/s, capacity 4096 ${large!.toFixed(1)} tok/s, ratio ${(large! / small!).toFixed(3)}`,
);
