// `npm run bench:cpu`: polyllama's cpu backend beside node-llama-cpp, on the same synthetic GGUF files with the
// dimensions of TinyLlama 1.1B, the same prompt and the same number of threads. Engines are measured in turn, each in a
// process of its own; the figures are medians. What the machine's memory and arithmetic reach is measured in the same
// run. With other work on the machine, timings of all cores are worthless: the load average is printed beside them.
//
// `--peer PATH` measures a llama-bench too, such as ik_llama.cpp's, built elsewhere. `--set avx2` holds both engines to
// one instruction set. `--backend onnxruntime` measures that backend as ours, `--against FOLDER` another checkout of
// this project, with its packages installed, in node-llama-cpp's place. `--batch 8,32` measures ours alone: sequences
// that decode together, in turn with one.

import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CacheFormat } from "@polyllama/core";
import { readArguments } from "../scripts/arguments.mjs";
import { compareBatches } from "./cpu/batch.ts";
import { type Contender, compare } from "./cpu/compare.ts";
import { describeLimits, describeMachine, measureLimits, now, readMeter } from "./cpu/machine.ts";
import { comparedFormats, modelFile, tinyLlama } from "./cpu/models.ts";
import { tableHead, tableRows } from "./cpu/table.ts";
import { withOneLibrary } from "./engines/one-library.ts";
import { startEngine } from "./engines/process.ts";
import { installEngines } from "./support.ts";

const options = readArguments("npm run bench:cpu", "Speed of the cpu backend beside other engines.", {
  formats: { type: "string", default: comparedFormats.join(","), about: "formats, by commas" },
  backend: { type: "string", default: "cpu", about: "ours: cpu or onnxruntime" },
  alone: { type: "boolean", default: false, about: "without node-llama-cpp" },
  set: { type: "string", about: "instruction set of both engines: avx512_vnni, avx_vnni, avx2; default: the best" },
  threads: { type: "string", default: "2", about: "threads" },
  rounds: { type: "string", default: "5", about: "rounds, of which medians are taken" },
  "prompt-tokens": { type: "string", default: "512", about: "length of the prompt" },
  "generate-tokens": { type: "string", default: "32", about: "tokens to generate" },
  cache: { type: "string", default: "f16", about: "keys and values of ours: f16, as others keep them, f32 or q8_0" },
  filled: { type: "string", default: "3500", about: "positions filled when decode is measured again; 0: not" },
  batch: { type: "string", about: "numbers of sequences that decode together, by commas; ours alone" },
  peer: { type: "string", about: "a llama-bench to measure too" },
  "peer-options": { type: "string", default: "", about: "more options of that llama-bench" },
  against: { type: "string", about: "folder of another checkout, in node-llama-cpp's place" },
  model: { type: "string", default: tinyLlama, about: "synthetic model, without format" },
  folder: { type: "string", default: join(tmpdir(), "polyllama-bench"), about: "folder for models" },
});
const threads = Number(options.threads);
const measures = {
  threads,
  rounds: Number(options.rounds),
  promptTokens: Number(options["prompt-tokens"]),
  generateTokens: Number(options["generate-tokens"]),
  filled: Number(options.filled),
  readMeter: await readMeter(threads),
};
const { backend, set } = options;
// ONNX Runtime keeps f32 alone
const cacheFormat = backend === "cpu" ? (options.cache as CacheFormat) : undefined; // Llama.load checks it
const load = {
  backend,
  ...(set !== undefined && { instructionSet: set }),
  ...(cacheFormat !== undefined && { cacheFormat }),
};

const peerOptions = options["peer-options"].split(" ").filter((word) => word !== "");
const peer = options.peer === undefined ? undefined : { program: options.peer, options: peerOptions };

console.log(describeMachine());
if (options.batch !== undefined) {
  const sizes = options.batch.split(",").map(Number);
  for (const format of options.formats.split(",")) {
    const { file } = await modelFile(options.folder, options.model, format);
    const { rounds, generateTokens } = measures;
    console.log(
      `\n${await compareBatches(format, file, sizes, { ...load, threads, rounds, generateTokens })}\n${now()}`,
    );
  }
} else {
  const limits = await measureLimits(threads);
  console.log(describeLimits(limits, threads));
  const contenders = [
    { name: `polyllama ${backend}`, start: () => startEngine("polyllama"), load, packs: true },
    ...(options.alone ? [] : [await other()]),
  ];
  const { promptTokens, generateTokens, rounds, filled } = measures;
  const what = `${promptTokens}-token prompt, ${generateTokens} tokens generated, again at ${filled} filled positions`;
  console.log(`${options.model}, ${threads} threads, ${what}; medians of ${rounds} rounds in turn\n\n${tableHead()}`);
  for (const format of options.formats.split(",")) {
    const model = await modelFile(options.folder, options.model, format);
    const figures = await compare(model, contenders, measures, peer);
    for (const row of tableRows(format, figures)) console.log(row);
    console.error(`${format}: ${now()}`);
  }
}

/** What ours is compared with. */
async function other(): Promise<Contender> {
  if (options.against !== undefined) {
    const checkout = options.against;
    return { name: "the other checkout", start: () => startEngine("polyllama", { checkout }), load, packs: true };
  }
  installEngines();
  if (set === undefined) return { name: "node-llama-cpp", start: () => startEngine("llama-cpp") };
  const url = await withOneLibrary(options.folder, set);
  return { name: `node-llama-cpp ${set}`, start: () => startEngine("llama-cpp", { arguments: [url] }) };
}
