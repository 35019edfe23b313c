// `npm run bench:cpu-f32`: f32 matrix products of the cpu backend beside OpenBLAS at the shapes of training: rows of
// TinyLlama's width through its feed-forward matrices, forth and back. In turn, medians. OpenBLAS is Debian's
// (`apt-get install libopenblas-dev`), through a small program that is compiled here; without it or a compiler, its
// figures are said not to be measured. It takes its AVX2 kernels on processors younger than itself, so it is told to
// take those for AVX-512 where there is that.

import { cpu } from "@polyllama/backend-cpu";
import { buildGraph, type WeightInfo, type WeightSource } from "@polyllama/core";
import { readArguments } from "../scripts/arguments.mjs";
import { describeMachine, now, processorFlags } from "./cpu/machine.ts";
import { buildNative, runNative } from "./native/build.ts";
import { median } from "./support.ts";

const options = readArguments("npm run bench:cpu-f32", "f32 matrix products of the cpu backend beside OpenBLAS.", {
  rows: { type: "string", default: "512,2048", about: "rows of activations, by commas" },
  threads: { type: "string", default: "2", about: "threads" },
  rounds: { type: "string", default: "5", about: "rounds, of which medians are taken" },
});
const threads = Number(options.threads);
const rounds = Number(options.rounds);
const [width, hidden] = [2048, 5632];
/** Products forth and back in a step: so many that what goes in and out of a step hardly counts. */
const pairs = 4;

const shapes = new Map([
  ["up", [hidden, width]],
  ["down", [width, hidden]],
  ["narrow", [16, width]],
]);
const infos = new Map(
  Array.from(shapes, ([name, shape]): [string, WeightInfo] => [name, { name, shape, format: "f32" }]),
);
const source: WeightSource = {
  name: "noise",
  weights: infos,
  async read(name, { rows, columns } = {}) {
    const [height = 0, length = 0] = shapes.get(name) ?? [];
    const count = (rows?.count ?? height) * (columns?.count ?? length);
    let state = 1;
    const scale = 2 / Math.sqrt(length);
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state / 2 ** 32 - 0.5) * scale;
    };
    return new Uint8Array(Float32Array.from({ length: count }, next).buffer);
  },
  fingerprint: async () => "noise",
};
// All rows are wanted, though few columns: none of the products can be left out.
const graph = buildGraph((g) => {
  let x = g.activations("x", width); // [N, K]
  const [up, down] = [g.weight("up", [hidden, width]), g.weight("down", [width, hidden])];
  for (let i = 0; i < pairs; i++) x = g.linear(`down.${i}`, g.linear(`up.${i}`, x, up), down); // [N, K]
  return [g.linear("out", x, g.weight("narrow", [16, width]))]; // [N, 16]
});

const kernels = processorFlags().has("avx512vl") ? { OPENBLAS_CORETYPE: "SkylakeX" } : {};
const program = await buildNative("blas", ["openblas"]);
console.log(describeMachine());
if (program === undefined) console.log("OpenBLAS: not measured (no g++, or no libopenblas-dev)");
await using device = cpu({ threads });
using parameters = await device.loadParameters([graph], source);
const outputs = [{ value: "out", rows: "all", to: "host" }] as const;
await using compiled = await device.compile(graph, parameters, { outputs });
console.log(
  `\nGFLOP/s, ${threads} threads, K ${width}, M ${hidden}\n| rows | ours | OpenBLAS | ratio |\n|---|---|---|---|`,
);
for (const rows of options.rows.split(",").map(Number)) {
  const x = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i));
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = -1; round < rounds; round++) {
    const started = performance.now();
    await compiled.submit({ inputs: { x }, sequences: [{ rows }], outputs }).result;
    const seconds = (performance.now() - started) / 1000;
    const given = [threads, rows, width, hidden, pairs].map(String);
    const blas = program === undefined ? undefined : Number(runNative(program, given, kernels));
    if (round < 0) continue; // warm-up
    ours.push(seconds);
    if (blas !== undefined) theirs.push(blas);
  }
  const speed = (seconds: readonly number[]) => (4 * pairs * rows * width * hidden) / 1e9 / median(seconds);
  const other = theirs.length === 0 ? ["not measured", ""] : [speed(theirs).toFixed(0), ratio(ours, theirs)];
  console.log(`| ${rows} | ${speed(ours).toFixed(0)} | ${other.join(" | ")} |`);
}
console.log(now());

/** Of speeds, which is that of times upside down. */
function ratio(ours: readonly number[], theirs: readonly number[]): string {
  return (median(theirs) / median(ours)).toFixed(2);
}
