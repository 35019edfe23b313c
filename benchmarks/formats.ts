// `npm run bench:formats`: decode speed of a model with the dimensions of TinyLlama 1.1B in every block format, on
// polyllama's onnxruntime backend and in node-llama-cpp, on the same file, with the same number of threads, measured in
// turn; then the speed of the quantizers. Figures are medians. Files are written one at a time and removed again, as
// are the packed weights: about 3 GB at a time. On a machine with other work two-thread timings are worthless; the load
// average is printed beside them.

import { mkdir, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createQuantizerPool, openCheckpoint, writeGguf } from "@polyllama/checkpoints";
import { formats, quantizedFormats, quantizeRows } from "@polyllama/formats";
import { readArguments } from "../scripts/arguments.mjs";
import { startEngine } from "./engines/process.ts";
import { installEngines, median } from "./support.ts";

/** Blocks that llama.cpp multiplies too. */
const blockFormats = Object.values(formats).filter(({ name, blockSize }) => blockSize > 1 && name !== "q8_k");

const options = readArguments("npm run bench:formats", "Speed of every format, of decoding and of quantizing.", {
  formats: { type: "string", default: blockFormats.map(({ name }) => name).join(","), about: "formats, by commas" },
  /** Without format and seed; parameters such as `layers=2` may follow a question mark. */
  model: { type: "string", default: "synthetic://tinyllama-1.1b", about: "model without format and seed" },
  threads: { type: "string", default: "2", about: "threads" },
  rounds: { type: "string", default: "5", about: "rounds, of which medians are taken" },
  "generate-tokens": { type: "string", default: "24", about: "tokens to generate" },
  /** Millions of values that each quantizer is given. */
  "quantize-millions": { type: "string", default: "16", about: "millions of values that each quantizer is given" },
  folder: { type: "string", default: join(tmpdir(), "polyllama-bench-formats"), about: "folder for models" },
});
const threads = Number(options.threads);
const rounds = Number(options.rounds);
const generateTokens = Number(options["generate-tokens"]);
const contextLength = (rounds + 1) * (generateTokens + 1) + 32;

installEngines();
await mkdir(options.folder, { recursive: true });
console.log(
  `${options.model}, ${threads} threads, ${generateTokens} tokens generated, medians of ${rounds} rounds in turn`,
);
console.log("| format | bits a weight | polyllama tok/s | node-llama-cpp tok/s | ratio | peak MiB | their peak MiB |");
console.log("|---|---|---|---|---|---|---|");
for (const format of options.formats.split(",")) console.log(await compareDecode(format));

console.log(`\nQuantizers, MB of f32 read a second, medians of 3; load average ${loadavg()[0]?.toFixed(1)}`);
console.log(`| target | 1 thread | ${threads} threads |`);
console.log("|---|---|---|");
const values = Float32Array.from({ length: Number(options["quantize-millions"]) * 2 ** 20 }, bellShaped);
for (const format of quantizedFormats) {
  await using pool = createQuantizerPool({ threads });
  const single = await megabytesPerSecond(async () => quantizeRows(values, format));
  const several = await megabytesPerSecond(() => pool.quantize(values, format));
  console.log(`| ${format} | ${single.toFixed(0)} | ${several.toFixed(0)} |`);
}

async function compareDecode(format: string): Promise<string> {
  const model = join(options.folder, `${format}.gguf`);
  const cacheFolder = join(options.folder, `packed-${format}`);
  {
    await using checkpoint = await openCheckpoint(
      `${options.model}${options.model.includes("?") ? "&" : "?"}seed=1&format=${format}`,
    );
    await writeGguf(model, checkpoint);
  }
  const engines = [startEngine("polyllama"), startEngine("llama-cpp")] as const;
  try {
    for (const engine of engines) await engine.ask({ kind: "load", model, threads, contextLength, cacheFolder });
    const speeds = engines.map((): number[] => []);
    for (let round = -1; round < rounds; round++) {
      for (const [i, engine] of engines.entries()) {
        const seconds = await engine.ask({ kind: "decode", tokens: generateTokens });
        if (round >= 0) speeds[i]!.push(generateTokens / seconds); // the first one warms up
      }
    }
    const [ours, theirs] = [median(speeds[0]!), median(speeds[1]!)];
    const peaks = [await engines[0].ask({ kind: "peak" }), await engines[1].ask({ kind: "peak" })];
    console.error(`${format}: load average ${loadavg()[0]?.toFixed(1)}`);
    const { blockBytes, blockSize } = formats[format as keyof typeof formats]; // the checkpoint was opened in it
    const bits = (blockBytes * 8) / blockSize;
    return `| ${format} | ${bits} | ${ours.toFixed(1)} | ${theirs.toFixed(1)} | ${(ours / theirs).toFixed(2)} | ${peaks.map((peak) => peak.toFixed(0)).join(" | ")} |`;
  } finally {
    for (const engine of engines) engine.stop();
    await rm(model, { force: true });
    await rm(cacheFolder, { recursive: true, force: true });
  }
}

/** Sums of three uniform numbers, of the size of a trained matrix's elements. */
function bellShaped(): number {
  return 0.02 * (Math.random() + Math.random() + Math.random() - 1.5);
}

async function megabytesPerSecond(quantize: () => Promise<unknown>): Promise<number> {
  await quantize(); // compiles it, and starts threads
  const speeds: number[] = [];
  for (let run = 0; run < 3; run++) {
    const started = performance.now();
    await quantize();
    speeds.push(values.byteLength / 1e3 / (performance.now() - started));
  }
  return median(speeds);
}
