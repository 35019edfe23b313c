// `npm run bench:webgpu`: the webgpu backend beside the WebGPU execution provider of onnxruntime-node, on the same
// adapter and the same synthetic model with TinyLlama's dimensions in Q4_0. The provider runs the graph that the
// onnxruntime backend emits (MatMulNBits, GroupQueryAttention and so on), with a cache of just the positions that are
// used, since its binding copies caches at every step. Both engines are loaded, each in a process of its own, and
// measured in turn; the figures are medians. Our tokens are chosen on the device, theirs from logits on the host.
//
// `--against FOLDER` measures another checkout of this project, with its packages installed, in the provider's place.
//
// `--batch 8` measures ours alone: 8 sequences that decode together, in turn with one.
//
// `--json` prints one object, with the time on the device by kernel where the adapter has timestamps. Run
// `npm run setup:system` where there is no GPU.

import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { lower, openPackedWeights, planLayout } from "@polyllama/backend-onnxruntime/internals";
import { webgpu } from "@polyllama/backend-webgpu";
import { canProfile, Profile } from "@polyllama/backend-webgpu/internals";
import { openCheckpoint } from "@polyllama/checkpoints";
import { createSampler, formatBytes, llamaGraph } from "@polyllama/core";
import { cacheSpec, type DeviceTensor, type Output, type SequenceCache } from "@polyllama/core/device";
import { readArguments } from "../scripts/arguments.mjs";
import { vulkanEnvironment } from "../scripts/system.mjs";
import { median } from "./support.ts";

const options = readArguments("npm run bench:webgpu", "Speed of the webgpu backend beside others.", {
  engine: { type: "string", about: "measure this one alone" },
  against: { type: "string", about: "folder of another checkout, to compare with" },
  model: { type: "string", default: "synthetic://tinyllama-1.1b?seed=1&format=q4_0", about: "model" },
  rounds: { type: "string", default: "3", about: "rounds, of which medians are taken" },
  "prompt-tokens": { type: "string", default: "64", about: "length of the prompt" },
  "generate-tokens": { type: "string", default: "8", about: "tokens to generate" },
  batch: { type: "string", default: "1", about: "sequences that decode together, beside one alone" },
  json: { type: "boolean", default: false, about: "print one object" },
});
const promptTokens = Number(options["prompt-tokens"]);
const generateTokens = Number(options["generate-tokens"]);
const batch = Number(options.batch);

/**
 * Seconds of a prefill and of the tokens behind it, and the processor's, which on a software adapter a busy machine
 * leaves alone.
 */
interface Timing {
  readonly prefill: number;
  readonly decode: number;
  readonly prefillCpu: number;
  readonly decodeCpu: number;
}

async function timed(prefill: () => Promise<unknown>, decode: () => Promise<unknown>): Promise<Timing> {
  const of = async (action: () => Promise<unknown>): Promise<readonly [number, number]> => {
    const [started, before] = [performance.now(), process.cpuUsage()];
    await action();
    const { user, system } = process.cpuUsage(before);
    return [(performance.now() - started) / 1000, (user + system) / 1e6];
  };
  const [read, readCpu] = await of(prefill);
  const [written, writtenCpu] = await of(decode);
  return { prefill: read, decode: written, prefillCpu: readCpu, decodeCpu: writtenCpu };
}

interface Engine {
  /** Of one sequence, or of several that decode together. */
  round(sequences?: number): Promise<Timing>;
  /** Facts about the engine, by name. */
  facts(): Promise<Readonly<Record<string, unknown>>>;
  close(): Promise<void>;
}

const prompt = Int32Array.from({ length: promptTokens }, (_, i) => (i * 7919 + 13) % 32000);
const capacity = promptTokens + generateTokens + 1;

/** Steps under way, as `webgpu()` has them on software adapters. */
const stepsAhead = 2;
const lastLogits = { value: "logits", rows: "last", to: "host" } as const;

async function ours(): Promise<Engine> {
  const checkpoint = await openCheckpoint(options.model);
  const graph = llamaGraph(checkpoint.config);
  const device = await webgpu();
  const parameters = await device.loadParameters([graph], checkpoint);
  const program = await device.compile(graph, parameters, { outputs: [lastLogits] });
  const draw = createSampler({ temperature: 0 }).draw!; // nothing in these options is the host's alone
  const tokens = Int32Array.from(prompt, (token) => token % checkpoint.config.vocabSize);
  const room = (sequences: number) => {
    const pool = device.cachePool(cacheSpec(graph), { rows: capacity, sequences });
    const caches = Array.from({ length: sequences }, () => pool.open());
    return { pool, caches };
  };
  const read = (caches: readonly SequenceCache[], outputs: readonly Output[]) => {
    const inputs = { tokens: Int32Array.from(caches.flatMap(() => [...tokens])) };
    return program.submit({ inputs, sequences: caches.map((cache) => ({ rows: promptTokens, cache })), outputs })
      .result;
  };
  const write = async (caches: readonly SequenceCache[], count: number): Promise<void> => {
    const outputs: readonly Output[] = [{ value: "logits", rows: "last", to: "token", draw: caches.map(() => draw) }];
    const sequences = caches.map((cache) => ({ rows: 1, cache }));
    const flying: Promise<unknown>[] = [];
    let given: Int32Array | DeviceTensor = new Int32Array(caches.length).fill(1);
    for (let i = 0; i < count; i++) {
      if (flying.length >= stepsAhead) await flying.shift();
      const step = program.submit({ inputs: { tokens: given }, sequences, outputs });
      if (!(given instanceof Int32Array)) given[Symbol.dispose]();
      given = step.tokens!; // there is an output of tokens
      flying.push(step.result);
    }
    await Promise.all(flying);
    if (!(given instanceof Int32Array)) given[Symbol.dispose]();
  };
  return {
    async round(sequences = 1) {
      const { pool, caches } = room(sequences);
      using _ = pool;
      return await timed(
        () => read(caches, [lastLogits]),
        () => write(caches, generateTokens),
      );
    },
    async facts() {
      const { pool, caches } = room(1);
      using _ = pool;
      const { meter } = device;
      await read(caches, []);
      await write(caches, 1);
      const before = meter.dispatched;
      caches[0]!.truncate(promptTokens); // there is one
      await write(caches, 1);
      const { layers } = checkpoint.config;
      const facts: Record<string, unknown> = {
        device: device.describe(),
        dispatchesPerToken: meter.dispatched - before,
        dispatchesAllowed: 7 * layers + 4,
        ...bytesPerToken(graph, checkpoint.weights, device.estimateMemory(graph, checkpoint.weights, 1).weights),
      };
      if (canProfile(device.gpu)) {
        for (const [name, given] of [
          ["decode", Int32Array.of(1)],
          ["prefill", tokens],
        ] as const) {
          caches[0]!.truncate(0);
          const profile = new Profile(device.gpu);
          meter.profile = profile;
          const sequences = [{ rows: given.length, cache: caches[0]! }];
          await program.submit({ inputs: { tokens: given }, sequences, outputs: [lastLogits] }).result;
          meter.profile = undefined;
          facts[`${name}Kernels`] = Object.fromEntries(await profile.end());
        }
      }
      return facts;
    },
    async close() {
      await device[Symbol.asyncDispose]();
      await checkpoint[Symbol.asyncDispose]();
    },
  };
}

/** Ours with a batch, in turn with one sequence. */
async function compareBatch(): Promise<void> {
  const engine = await ours();
  const timings = new Map<number, Timing[]>([
    [1, []],
    [batch, []],
  ]);
  for (let round = -1; round < Number(options.rounds); round++) {
    for (const [sequences, list] of timings) {
      const timing = await engine.round(sequences);
      if (round >= 0) list.push(timing);
    }
  }
  const speeds = [...timings].map(([sequences, list]) => ({
    sequences,
    decode: (sequences * generateTokens) / median(list.map(({ decode }) => decode)),
    decodeCpu: median(list.map(({ decodeCpu }) => decodeCpu)) / (sequences * generateTokens),
  }));
  const ratio = speeds[1]!.decode / speeds[0]!.decode; // there are two
  if (options.json) console.log(JSON.stringify({ speeds, ratio, load: loadavg()[0] }, undefined, 2));
  else {
    console.log("| sequences | decode tok/s, all together | processor seconds a token |\n|---|---|---|");
    for (const { sequences, decode, decodeCpu } of speeds) {
      console.log(`| ${sequences} | ${decode.toFixed(2)} | ${decodeCpu.toFixed(3)} |`);
    }
    console.log(`\n${ratio.toFixed(2)} times the tokens; load average ${loadavg()[0]!.toFixed(1)}`);
  }
  await engine.close();
}

type Weights = Awaited<ReturnType<typeof openCheckpoint>>["weights"];

/** Bytes of weights that a token reads as they are stored, and as they lie on the device. */
function bytesPerToken(graph: ReturnType<typeof llamaGraph>, weights: Weights, device: number) {
  let least = 0;
  let stored = 0;
  const linears = new Set(graph.nodes.flatMap((node) => (node.op === "linear" ? [node.weight] : [])));
  for (const { name, shape, format } of weights.values()) {
    const bytes = formatBytes(
      format,
      shape.reduce((product, size) => product * size, 1),
    );
    stored += bytes;
    if (linears.has(name) || shape.length === 1) least += bytes;
  }
  return { bytesMinimum: least, bytesMoved: device - (stored - least) };
}

async function theirs(): Promise<Engine> {
  const require = createRequire(new URL("../packages/backend-onnxruntime/package.json", import.meta.url));
  const name = "onnxruntime-node"; // the onnxruntime backend's dependency
  const ort = await import(pathToFileURL(require.resolve(name)).href);
  const { InferenceSession, Tensor } = ort.default ?? ort;
  const checkpoint = await openCheckpoint(options.model);
  const { config } = checkpoint;
  const graph = llamaGraph(config);
  const layout = planLayout([graph], checkpoint.weights, "f32");
  const folder = await mkdtemp(join(tmpdir(), "polyllama-bench-"));
  const settings = { folder, limit: 2 ** 34, onNote: console.error };
  const packed = await openPackedWeights(checkpoint, layout, settings, undefined, undefined);
  const lowering = lower(graph, layout, { wanted: new Set(["logits"]), fillsCaches: true, accuracyLevel: 4 });
  const model = join(packed.folder, "model.onnx"); // beside the weights that it names
  await writeFile(model, lowering.model);
  const session = await InferenceSession.create(model, { executionProviders: ["webgpu"], logSeverityLevel: 3 });
  const half = config.headDim / 2;
  const logits = lowering.outputs.get("logits")!.name;
  const empty = () => new Float32Array(config.kvHeads * capacity * config.headDim);
  let caches = new Map<number, unknown>();
  const run = async (rows: number, past: number): Promise<void> => {
    const feeds: Record<string, unknown> = {};
    let number = 0;
    for (const { name, binding } of lowering.inputs) {
      const i64 = (values: readonly number[], shape: readonly number[]) =>
        new Tensor("int64", BigInt64Array.from(values, BigInt), shape);
      switch (binding.kind) {
        case "activations": {
          const data = Float32Array.from({ length: rows * binding.width }, (_, i) => Math.sin(i));
          feeds[name] = new Tensor("float32", data, [1, rows, binding.width]);
          break;
        }
        case "selection":
          feeds[name] = i64([rows - 1], [1]);
          break;
        case "positions":
          feeds[name] = i64(
            Array.from({ length: rows }, (_, i) => past + i),
            [1, rows],
          );
          break;
        case "lastPosition":
          feeds[name] = new Tensor("int32", Int32Array.of(past + rows - 1), [1]);
          break;
        case "totalLength":
          feeds[name] = new Tensor("int32", Int32Array.of(past + rows), [1]);
          break;
        case "cos":
        case "sin":
          feeds[name] = new Tensor("float32", new Float32Array(capacity * half).fill(0.5), [capacity, half]);
          break;
        default:
          feeds[name] =
            caches.get(number) ?? new Tensor("float32", empty(), [1, config.kvHeads, capacity, config.headDim]);
          number++;
      }
    }
    const outputs = await session.run(feeds);
    caches = new Map(lowering.caches.map(({ name }, i) => [i, outputs[name]]));
    (outputs[logits].data as Float32Array).reduce((a, b) => Math.max(a, b));
  };
  return {
    async round() {
      caches = new Map();
      return timed(
        () => run(promptTokens, 0),
        async () => {
          for (let i = 0; i < generateTokens; i++) await run(1, promptTokens + i);
        },
      );
    },
    facts: async () => ({ version: ort.env?.versions?.node ?? "unknown" }),
    async close() {
      await session.release();
      await packed.release();
      await rm(folder, { recursive: true, force: true });
      await checkpoint[Symbol.asyncDispose]();
    },
  };
}

/** A process with one engine, which answers the names of its methods. */
function start(engine: string, file: string): { ask<T>(what: keyof Engine): Promise<T>; stop(): void } {
  const given = ["model", "prompt-tokens", "generate-tokens"] as const;
  const known = given.flatMap((name) => [`--${name}`, options[name]]);
  const child: ChildProcess = fork(file, [...known, "--engine", engine], {
    env: { ...process.env, ...vulkanEnvironment() },
    stdio: ["ignore", "inherit", "ignore", "ipc"],
  });
  return {
    ask: (what) =>
      new Promise((resolve, reject) => {
        const ended = (code: number | null): void => reject(new Error(`${engine} ended with ${code}`));
        child.once("exit", ended);
        child.once("message", (answer: { readonly error?: string; readonly result?: never }) => {
          child.off("exit", ended);
          if (answer.error === undefined) resolve(answer.result!);
          else reject(new Error(`${engine}: ${answer.error}`));
        });
        child.send(what);
      }),
    stop: () => void child.kill("SIGKILL"),
  };
}

async function serve(name: string): Promise<void> {
  let engine: Promise<Engine> | undefined;
  process.on("message", async (what: keyof Engine) => {
    try {
      engine ??= name === "polyllama" ? ours() : theirs();
      process.send!({ result: await (await engine)[what]() });
    } catch (error) {
      process.send!({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}

async function compare(): Promise<void> {
  const here = fileURLToPath(import.meta.url);
  const { against } = options;
  const names = ["polyllama", against === undefined ? "onnxruntime" : "the other checkout"] as const;
  const engines = [
    start("polyllama", here),
    against === undefined ? start("onnxruntime", here) : start("polyllama", resolve(against, "benchmarks/webgpu.ts")),
  ];
  try {
    const timings: Timing[][] = names.map(() => []);
    for (let round = -1; round < Number(options.rounds); round++) {
      for (const [i, engine] of engines.entries()) {
        const timing = await engine.ask<Timing>("round");
        if (round >= 0) timings[i]!.push(timing);
      }
    }
    const figures = timings.map((list) => ({
      prefill: promptTokens / median(list.map(({ prefill }) => prefill)),
      decode: generateTokens / median(list.map(({ decode }) => decode)),
      prefillCpu: median(list.map(({ prefillCpu }) => prefillCpu)),
      decodeCpu: median(list.map(({ decodeCpu }) => decodeCpu)) / generateTokens,
    }));
    const facts = await engines[0]!.ask<Record<string, unknown>>("facts");
    const ratio = {
      prefill: figures[0]!.prefill / figures[1]!.prefill,
      decode: figures[0]!.decode / figures[1]!.decode,
      prefillCpu: figures[0]!.prefillCpu / figures[1]!.prefillCpu,
      decodeCpu: figures[0]!.decodeCpu / figures[1]!.decodeCpu,
    };
    if (options.json) {
      const report = { polyllama: figures[0], onnxruntime: figures[1], ratio, load: loadavg()[0], ...facts };
      console.log(JSON.stringify(report, undefined, 2));
    } else {
      const cpu = "processor seconds: prefill | a token";
      console.log(`| engine | prefill tok/s (${promptTokens}) | decode tok/s | ${cpu} |\n|---|---|---|---|---|`);
      for (const [i, { prefill, decode, prefillCpu, decodeCpu }] of [...figures, ratio].entries()) {
        const cells = [prefill, decode, prefillCpu, decodeCpu].map((value) => value.toFixed(2));
        console.log(`| ${names[i] ?? "**ratio**"} | ${cells.join(" | ")} |`);
      }
      if (against !== undefined) {
        const before = (await engines[1]!.ask<Record<string, unknown>>("facts"))["dispatchesPerToken"];
        console.log(`\ndispatches per token in the other checkout: ${before}`);
      }
      const { device, dispatchesPerToken, dispatchesAllowed, bytesMinimum, bytesMoved } = facts;
      console.log(`\n${JSON.stringify(device)}; load average ${loadavg()[0]!.toFixed(1)}`);
      console.log(`dispatches per token: ${dispatchesPerToken}, where 7 a layer and 4 are ${dispatchesAllowed}`);
      console.log(`weights read per token: ${bytesMoved} bytes, as stored ${bytesMinimum}`);
    }
    for (const engine of engines) await engine.ask("close");
  } finally {
    for (const engine of engines) engine.stop();
  }
}

if (batch > 1) await compareBatch();
else if (options.engine === undefined) await compare();
else await serve(options.engine);
