// `npm run bench:cpu`: polyllama's onnxruntime backend beside node-llama-cpp, on the same synthetic GGUF file with the
// dimensions of TinyLlama 1.1B, the same prompt and the same number of threads. Both engines are loaded, each in a
// process of its own, and measured in turn; the figures are medians. On a machine with other work, two-thread timings
// are worthless: the load average is printed beside them.
//
// `--against FOLDER` measures another checkout of this project, with its packages installed, in the other engine's
// place.

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpoint, writeGguf } from "@polyllama/checkpoints";
import { readArguments } from "../scripts/arguments.mjs";
import { type EngineProcess, startEngine } from "./engines/process.ts";
import { installEngines, median } from "./support.ts";

const options = readArguments("npm run bench:cpu", "Speed of the onnxruntime backend beside node-llama-cpp.", {
  formats: { type: "string", default: "q4_0,q8_0,q4_k", about: "formats, by commas" },
  threads: { type: "string", default: "2", about: "threads" },
  rounds: { type: "string", default: "5", about: "rounds, of which medians are taken" },
  "prompt-tokens": { type: "string", default: "512", about: "length of the prompt" },
  "generate-tokens": { type: "string", default: "32", about: "tokens to generate" },
  against: { type: "string", about: "folder of another checkout, to compare with" },
  folder: { type: "string", default: join(tmpdir(), "polyllama-bench"), about: "folder for models" },
});
const threads = Number(options.threads);
const rounds = Number(options.rounds);
const promptTokens = Number(options["prompt-tokens"]);
const generateTokens = Number(options["generate-tokens"]);

const other = options.against === undefined ? "node-llama-cpp" : "the other checkout";

if (options.against === undefined) installEngines();

interface Figures {
  readonly load: number;
  readonly prefill: number;
  readonly decode: number;
  readonly peak: number;
}

await mkdir(options.folder, { recursive: true });
console.log(
  `TinyLlama-1.1B dimensions, ${threads} threads, ${promptTokens}-token prompt, ${generateTokens} tokens generated, medians of ${rounds} rounds`,
);
console.log("| format | engine | load s | prefill tok/s | decode tok/s | peak MiB |");
console.log("|---|---|---|---|---|---|");
for (const format of options.formats.split(",")) {
  const [ours, theirs] = await compare(format);
  print(format, "polyllama", ours);
  print(format, other, theirs);
  const ratio = (a: number, b: number) => (a / b).toFixed(2);
  console.log(
    `| ${format} | **ratio** | ${ratio(ours.load, theirs.load)} | ${ratio(ours.prefill, theirs.prefill)} | ${ratio(ours.decode, theirs.decode)} | ${ratio(ours.peak, theirs.peak)} |`,
  );
}

async function compare(format: string): Promise<readonly [Figures, Figures]> {
  const model = join(options.folder, `tinyllama-1.1b-${format}.gguf`);
  if (!existsSync(model)) {
    console.error(`Writing ${model} ...`);
    await using checkpoint = await openCheckpoint(`synthetic://tinyllama-1.1b?seed=1&format=${format}`);
    await writeGguf(model, checkpoint);
  }
  const startTheirs = () =>
    options.against === undefined ? startEngine("llama-cpp") : startEngine("polyllama", options.against);
  const contextLength = 2048;
  for (const engine of [startEngine("polyllama"), ...(options.against === undefined ? [] : [startTheirs()])]) {
    try {
      // The first load of a model packs its weights; it is not what a user waits for every day.
      const first = await engine.ask({ kind: "load", model, threads, contextLength });
      console.error(
        `${format}: first load, weights packed: ${first.toFixed(1)} s; load average ${loadavg()[0]?.toFixed(1)}`,
      );
    } finally {
      engine.stop();
    }
  }
  const running: readonly [EngineProcess, EngineProcess] = [startEngine("polyllama"), startTheirs()];
  const samples = running.map(() => ({ load: [] as number[], prefill: [] as number[], decode: [] as number[] }));
  try {
    for (const [i, engine] of running.entries()) {
      samples[i]!.load.push(await engine.ask({ kind: "load", model, threads, contextLength }));
    }
    for (let round = -1; round < rounds; round++) {
      for (const [i, engine] of running.entries()) {
        const prefill = await engine.ask({ kind: "prefill", tokens: promptTokens });
        const decode = await engine.ask({ kind: "decode", tokens: generateTokens });
        if (round < 0) continue; // warm-up
        samples[i]!.prefill.push(promptTokens / prefill);
        samples[i]!.decode.push(generateTokens / decode);
      }
    }
    const peaks = [await running[0].ask({ kind: "peak" }), await running[1].ask({ kind: "peak" })];
    const figures = (i: 0 | 1): Figures => ({
      load: median(samples[i]!.load),
      prefill: median(samples[i]!.prefill),
      decode: median(samples[i]!.decode),
      peak: peaks[i]!,
    });
    return [figures(0), figures(1)];
  } finally {
    for (const engine of running) engine.stop();
  }
}

function print(format: string, engine: string, { load, prefill, decode, peak }: Figures): void {
  console.log(
    `| ${format} | ${engine} | ${load.toFixed(2)} | ${prefill.toFixed(1)} | ${decode.toFixed(1)} | ${peak.toFixed(0)} |`,
  );
}
