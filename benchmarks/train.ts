// `npm run bench:train`: one training step of a model of 15M parameters (llama2.c's stories15M: width 288, 6 layers, 32,000
// tokens) in f32 beside PyTorch: forward, backward, clipping and AdamW over the same tokens from the same weights. In turn,
// medians; matrix products alone on both sides; and the memory that each process takes above its own start. PyTorch is
// Debian's (`apt-get install python3-torch libopenblas0-pthread`); where it is missing its figures are said not to be
// measured. OpenBLAS is told to take its AVX-512 kernels where there are such, as it does not know younger processors.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { cpu } from "@polyllama/backend-cpu";
import {
  buildGraph,
  type Graph,
  gradient,
  type LlamaConfig,
  llamaGraph,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import type { Device, DeviceTensor } from "@polyllama/core/device";
import { createTrainer, type PackedSequence, recipes } from "@polyllama/training";
import { readArguments } from "../scripts/arguments.mjs";
import { describeMachine, now, processorFlags } from "./cpu/machine.ts";
import { median } from "./support.ts";

const options = readArguments("npm run bench:train", "A training step of 15M parameters beside PyTorch.", {
  sequences: { type: "string", default: "8", about: "sequences of a step" },
  length: { type: "string", default: "256", about: "tokens of a sequence" },
  threads: { type: "string", default: "2", about: "threads" },
  rounds: { type: "string", default: "7", about: "rounds, of which medians are taken" },
});
const [sequences, length, threads, rounds] = [
  Number(options.sequences),
  Number(options.length),
  Number(options.threads),
  Number(options.rounds),
];
const rate = 3e-4;

const config: LlamaConfig = {
  dim: 288,
  layers: 6,
  heads: 6,
  kvHeads: 6,
  headDim: 48,
  hiddenDim: 768,
  vocabSize: 32_000,
  contextLength: 256,
  normEps: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: true,
};
const graph = llamaGraph(config);

let state = 1;
function random(): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}
const weights = new Map(
  graph.weights.map(({ name, shape }) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      shape.length === 1 ? 1 : (random() - 0.5) * 0.07,
    );
    return [name, { info: { name, shape, format: "f32" } satisfies WeightInfo, values }] as const;
  }),
);
const source: WeightSource = {
  name: "noise",
  weights: new Map([...weights].map(([name, { info }]) => [name, info])),
  async read(name, { rows } = {}) {
    const { info, values } = weights.get(name)!; // the caller asks for what is listed
    const columns = info.shape.at(-1) ?? 0;
    const { first, count } = rows ?? { first: 0, count: values.length / columns };
    return new Uint8Array(values.slice(first * columns, (first + count) * columns).buffer);
  },
  fingerprint: async () => "noise",
};
const packed: PackedSequence[] = Array.from({ length: sequences }, () => {
  const ids = Int32Array.from({ length: length + 1 }, () => Math.floor(random() * config.vocabSize));
  return {
    tokens: ids.subarray(0, length),
    targets: ids.subarray(1),
    weights: new Float64Array(length).fill(1),
    rows: [length],
  };
});

/** The other side, which answers line by line. */
class Torch {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(process: ChildProcessWithoutNullStreams) {
    this.#process = process;
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  }

  async answer(): Promise<Record<string, number | string>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("PyTorch's process has ended; run it with its output to see why");
    return JSON.parse(value);
  }

  ask(what: "step" | "products" | "memory"): Promise<Record<string, number | string>> {
    this.#process.stdin.write(`${what}\n`);
    return this.answer();
  }

  end(): void {
    this.#process.stdin.end();
  }
}

/** Debian's Python, which has Debian's PyTorch, where there are several. */
const python = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

function startTorch(folder: string): Torch | undefined {
  if (spawnSync(python, ["-c", "import torch"]).status !== 0) return undefined;
  const file = join(folder, "weights");
  writeFileSync(file, Buffer.concat([...weights.values()].map(({ values }) => new Uint8Array(values.buffer))));
  const { normEps: eps, ropeTheta: theta, ...sizes } = config;
  const given = {
    ...sizes,
    eps,
    theta,
    rate,
    threads,
    sequences,
    length,
    weights: [...weights.values()].map(({ info }) => [info.name, info.shape]),
    tokens: packed.flatMap(({ tokens }) => [...tokens]),
    targets: packed.flatMap(({ targets }) => [...targets]),
    products,
  };
  const kernels = processorFlags().has("avx512vl") ? { OPENBLAS_CORETYPE: "SkylakeX" } : {};
  const env = { ...process.env, ...kernels, OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) };
  const script = fileURLToPath(new URL("train/step.py", import.meta.url));
  const child = spawn(python, [script, JSON.stringify(given), file], { env });
  child.stderr.pipe(process.stderr);
  return new Torch(child);
}

/** Shapes of a step's matrices, and how many there are. */
const products: readonly (readonly [shape: readonly [rows: number, columns: number], count: number])[] = [
  [[config.dim, config.dim], 4 * config.layers],
  [[config.hiddenDim, config.dim], 2 * config.layers],
  [[config.dim, config.hiddenDim], config.layers],
  [[config.vocabSize, config.dim], 1],
];

/** Programs of one product each, forth and back, by shape; what they read lies on the device. */
async function productsAlone(device: Device): Promise<() => Promise<number>> {
  const rows = sequences * length;
  const noise = async (width: number): Promise<DeviceTensor> => {
    const copied = buildGraph((g) => [g.scale("y", g.activations("x", width), { factor: 1 })]);
    const parameters = await device.loadParameters([copied], source);
    await using program = await device.compile(copied, parameters);
    const x = Float32Array.from({ length: rows * width }, () => random() - 0.5);
    const outputs = [{ value: "y", rows: "all", to: "device" }] as const;
    const [found] = await program.submit({ inputs: { x }, sequences: [{ rows }], outputs }).result;
    if (found?.to !== "device") throw new TypeError("an output for the device stays there");
    return found.tensor;
  };
  const made: { readonly run: () => Promise<void>; readonly count: number }[] = [];
  for (const [[height, columns], count] of products) {
    const one: Graph = buildGraph((g) => [
      g.linear("y", g.activations("x", columns), g.weight("w", [height, columns])),
    ]);
    const { forward, backward, cotangents } = gradient(one, { inputs: ["x"] });
    const given: WeightSource = {
      name: "noise",
      weights: new Map([["w", { name: "w", shape: [height, columns], format: "f32" }]]),
      read: async (_, ranges) => {
        const values = Float32Array.from({ length: (ranges?.rows?.count ?? height) * columns }, () => random() - 0.5);
        return new Uint8Array(values.buffer);
      },
      fingerprint: async () => "noise",
    };
    const parameters = await device.loadParameters([forward, backward], given, { mutable: true });
    const programs = [await device.compile(forward, parameters), await device.compile(backward, parameters)];
    const inputs = new Map([
      ["x", await noise(columns)],
      [cotangents.get("y"), await noise(height)],
    ]);
    const run = async (): Promise<void> => {
      for (const program of programs) {
        const { graph } = program;
        const read = Object.fromEntries(graph.inputs.map(({ name }) => [name, inputs.get(name)!])); // these two
        const outputs = graph.outputs.map((value) => ({ value, rows: "all", to: "device" }) as const);
        for (const value of await program.submit({ inputs: read, sequences: [{ rows }], outputs }).result) {
          if (value.to === "device") value.tensor[Symbol.dispose]();
        }
      }
    };
    made.push({ run, count });
  }
  return async () => {
    const began = performance.now();
    for (const { run, count } of made) for (let i = 0; i < count; i++) await run();
    return (performance.now() - began) / 1000;
  };
}

function resident(field: "VmRSS" | "VmHWM"): number {
  const found = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"));
  return Number(found?.[1]) * 1024;
}

const folder = mkdtempSync(join(tmpdir(), "polyllama-train-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
console.log(describeMachine());
const started = resident("VmRSS");
const torch = startTorch(folder);
console.log(`PyTorch: ${torch === undefined ? "not measured (no python3-torch)" : (await torch.answer())["torch"]}`);

await using device = cpu({ threads });
await using trainer = await createTrainer(device, graph, source, { optimizer: recipes.sft.optimizer });
const [ours, theirs]: [number[], number[]] = [[], []];
const count = sequences * length;
for (let round = -1; round < rounds; round++) {
  const began = performance.now();
  const { loss } = await trainer.step([packed], rate);
  const seconds = (performance.now() - began) / 1000;
  const other = await torch?.ask("step");
  if (other !== undefined && Math.abs(Number(other["loss"]) - loss) > 1e-3 * loss) {
    throw new Error(`The losses differ: ${loss} here and ${other["loss"]} of PyTorch; it is not the same step.`);
  }
  if (round < 0) continue; // warm-up
  ours.push(seconds);
  if (other !== undefined) theirs.push(Number(other["seconds"]));
}
const peak = resident("VmHWM") - started;
const memory = await torch?.ask("memory");
const [own, others]: [number[], number[]] = [[], []];
const alone = await productsAlone(device);
await alone();
for (let round = 0; round < 3; round++) {
  own.push(await alone());
  const other = await torch?.ask("products");
  if (other !== undefined) others.push(Number(other["seconds"]));
}
torch?.end();

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const row = (name: string, mine: number, other: number, show: (value: number) => string, ratio: number) =>
  `| ${name} | ${show(mine)} | ${Number.isNaN(other) ? "not measured" : show(other)} | ${Number.isNaN(ratio) ? "" : ratio.toFixed(2)} |`;
const [mine, other] = [median(ours), theirs.length === 0 ? Number.NaN : median(theirs)];
const [products1, products2] = [median(own), others.length === 0 ? Number.NaN : median(others)];
const theirPeak = memory === undefined ? Number.NaN : Number(memory["peak"]) - Number(memory["start"]);
console.log(`\n15M parameters, ${sequences} sequences of ${length} tokens, f32, ${threads} threads\n`);
console.log("| | polyllama | PyTorch | ratio |\n|---|---|---|---|");
console.log(row("tokens/s", count / mine, count / other, (value) => value.toFixed(0), other / mine));
console.log(
  row(
    "matrix products of a step, alone",
    products1,
    products2,
    (value) => `${(1000 * value).toFixed(0)} ms`,
    products2 / products1,
  ),
);
console.log(
  row(
    "their share of the step",
    (100 * products1) / mine,
    (100 * products2) / other,
    (value) => `${value.toFixed(0)} %`,
    Number.NaN,
  ),
);
console.log(row("memory above the start", peak, theirPeak, mebibytes, peak / theirPeak));
console.log(now());
