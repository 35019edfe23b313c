// A program for lifecycle.test.ts: devices in the middle of a step when something ends. The argument says what.

import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { buildGraph } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { randomReals, randomSource } from "@polyllama/test-support/weights";
import { cpu } from "../src/index.ts";

const graph = buildGraph((g) => [g.linear("y", g.activations("x", 2048), g.weight("w", [2048, 2048]))]);
const source = randomSource(graph, () => "f32");
const x = randomReals(1, 400 * 2048);

async function load() {
  const device = cpu({ threads: 2 });
  return { device, loaded: await loadGraph(device, graph, source) };
}

/** Runs steps one after another until it fails. */
async function runOn({ loaded }: Awaited<ReturnType<typeof load>>, begun: () => void): Promise<never> {
  for (;;) {
    const running = loaded.run({ inputs: { x } }, ["y"]);
    setImmediate(begun); // the library has been called by then
    await running;
  }
}

async function sumOf({ loaded }: Awaited<ReturnType<typeof load>>): Promise<number> {
  const [y] = await loaded.run({ inputs: { x } }, ["y"]);
  return Float64Array.from(y!.data).reduce((sum, value) => sum + value, 0); // a graph of one output
}

/** Node 20 does not take a worker's own file through what `--import` registers. */
const inWorker = `import("tsx/esm/api").then(({ register }) => {
  register();
  return import(${JSON.stringify(import.meta.url)});
});`;

const ends: Readonly<Record<string, () => Promise<void>>> = {
  /** The process, by itself. */
  async exit() {
    void runOn(await load(), () => setTimeout(() => process.exit(7), 5));
  },
  /** A worker, from outside; what comes then works as before. */
  async terminate() {
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(inWorker, { eval: true, argv: ["worker"], execArgv: process.execArgv });
      await new Promise((resolve) => worker.once("message", resolve));
      await worker.terminate();
    }
    const own = await load();
    const sum = await sumOf(own);
    await own.device[Symbol.asyncDispose]();
    console.log(Number.isFinite(sum) ? "works" : `gives ${sum}`);
  },
  async worker() {
    void runOn(await load(), () => parentPort?.postMessage("begun"));
  },
  /** One of two devices, whose steps are under way at the same time. */
  async dispose() {
    const [first, second] = [await load(), await load()];
    const expected = await sumOf(first);
    const running = runOn(first, () => undefined).catch((error: unknown) => error);
    const sums = Promise.all([sumOf(second), sumOf(second)]);
    setTimeout(() => void first.device[Symbol.asyncDispose](), 10);
    const ended = await running;
    const same = (await sums).every((sum) => sum === expected);
    await second.device[Symbol.asyncDispose]();
    console.log(same && ended instanceof Error && "code" in ended ? String(ended.code) : `${ended}, same: ${same}`);
  },
};

const [what = ""] = process.argv.slice(2);
if (isMainThread || what === "worker") await ends[what]!(); // the test names one of them
