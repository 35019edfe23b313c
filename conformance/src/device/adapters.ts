// Low-rank adapters that are switched by sequence: a sequence has what it has alone, whatever adapters others of its
// step name, and what it would have with the adapter merged into the weights.

import { reference } from "@polyllama/backend-reference";
import {
  type FormatName,
  type Graph,
  llamaGraph,
  type Tensor,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import {
  cacheSpec,
  type Device,
  type DeviceTensor,
  type Parameters,
  type Program,
  type SequenceCache,
} from "@polyllama/core/device";
import { readValues } from "@polyllama/formats";
import { fewPerturbedRuns } from "../comparison/constants.ts";
import { estimateTolerances, worstShare } from "../comparison/tolerance.ts";
import { must, mustEqual, mustThrow } from "../must.ts";
import { random } from "../random.ts";
import { smallConfig } from "../small-config.ts";
import { memoryWeights, randomWeight, randomWeights } from "../weights.ts";
import type { DeviceCase } from "./case.ts";
import { draws, lastLogits, load, rowsOf, tokens, tokensOf, valuesOf } from "./subject.ts";

const needs = ({ features }: Device): string | undefined => (features.adapters ? undefined : "there are no adapters");

/** An adapter as a source and its factors. */
interface Adapter {
  readonly source: WeightSource;
  readonly scale: ReadonlyMap<WeightName, number>;
}

/** A random adapter of the linears whose names it is asked for; its factors differ by weight. */
function adapterOf(graph: Graph, rank: number, format: FormatName, isTarget: (name: string) => boolean): Adapter {
  const stream = random("adapter", rank);
  const linears = graph.nodes.flatMap((node) => (node.op === "linear" && isTarget(node.weight) ? [node.weight] : []));
  const weights = linears.flatMap((name) => {
    const [rows = 0, columns = 0] = graph.weights.find((weight) => weight.name === name)!.shape; // a node's weight
    return [
      randomWeight(`${name}.lora_a`, [rank, columns], format, stream),
      randomWeight(`${name}.lora_b`, [rows, rank], format, stream),
    ];
  });
  return { source: memoryWeights(weights), scale: new Map(linears.map((name, i) => [name, 0.3 + 0.2 * (i % 3)])) };
}

/** The weights with an adapter merged in float64, of which the reference takes every bit. */
async function merged(weights: WeightSource, { source, scale }: Adapter): Promise<WeightSource> {
  const values = new Map<WeightName, Float64Array>();
  for (const [name, factor] of scale) {
    const [info, a, b] = [name, `${name}.lora_a`, `${name}.lora_b`].map((each) => {
      return (weights.weights.get(each) ?? source.weights.get(each))!; // one of them has it
    }) as [WeightInfo, WeightInfo, WeightInfo];
    const [first, second] = [await readValues(source, a), await readValues(source, b)];
    const [[rank = 0, columns = 0], sum] = [a.shape, Float64Array.from(await readValues(weights, info))];
    sum.forEach((value, i) => {
      const [m, k] = [Math.floor(i / columns), i % columns];
      let product = 0;
      for (let r = 0; r < rank; r++) product += second[m * rank + r]! * first[r * columns + k]!;
      sum[i] = value + factor * product;
    });
    values.set(name, sum);
  }
  const f32 = ([name, info]: [string, WeightInfo]) => [name, values.has(name) ? { ...info, format: "f32" } : info];
  return {
    ...weights,
    weights: new Map([...weights.weights].map((entry) => f32(entry) as [string, WeightInfo])),
    readExact: async (name) => values.get(name),
  };
}

/** Prompts of different lengths. */
const given = [tokens(12), tokens(5).map((token) => token + 5), tokens(10).map((token) => token + 11)];

/** Logits of each sequence's rows in one step; `texts` are numbers of the prompts, by the adapter that each names. */
async function logits(
  program: Program,
  texts: readonly (readonly [text: number, adapter: string | undefined])[],
): Promise<readonly Tensor[]> {
  const own = texts.map(([text]) => given[text]!); // a number of one
  const step = {
    inputs: { tokens: Int32Array.from(own.flatMap((ids) => [...ids])) },
    sequences: texts.map(([, adapter], i) => ({ rows: own[i]!.length, ...(adapter !== undefined && { adapter }) })),
    outputs: [{ value: "logits", rows: "all", to: "host" }],
  } as const;
  const [value] = await program.submit(step).result;
  const rows = rowsOf(value);
  let first = 0;
  return own.map(({ length }) => {
    first += length;
    return {
      shape: [length, smallConfig.vocabSize],
      data: Float64Array.from(rows.slice(first - length, first).flat()),
    };
  });
}

async function mustMerge(device: Device, format: FormatName): Promise<void> {
  const graph = llamaGraph(smallConfig);
  const weights = memoryWeights(randomWeights(graph, format, random("adapted", 1)));
  const adapters = {
    all: adapterOf(graph, 2, "f32", () => true),
    some: adapterOf(graph, 3, "f16", (name) => /wq|wv|w2|layers.1.*w1/.test(name)),
  };
  const batch = [
    [0, "all"],
    [1, undefined],
    [2, "some"],
  ] as const;
  const load = async (on: Device): Promise<readonly [Parameters, Program]> => {
    const parameters = await on.loadParameters([graph], weights);
    for (const [name, { source, scale }] of Object.entries(adapters))
      await parameters.addAdapter(name, source, { scale });
    return [parameters, await on.compile(graph, parameters)];
  };
  const together = async (on: Device): Promise<readonly Tensor[]> => {
    const [parameters, program] = await load(on);
    using _ = parameters;
    await using own = program;
    return await logits(own, batch); // before it is disposed
  };
  const [parameters, program] = await load(device);
  using _ = parameters;
  await using own = program;
  const values = await logits(own, batch);
  for (const [i, alone] of batch.entries()) {
    mustEqual([...values[i]!.data], [...(await logits(own, [alone]))[0]!.data], `${format}: sequence ${i} alone`);
  }
  const seeds = Array.from({ length: fewPerturbedRuns }, (_, i) => i + 1);
  const tolerances = await estimateTolerances(together, device.roundings, seeds);
  const exactly = async (text: number, source: WeightSource): Promise<Tensor> => {
    await using exact = reference();
    using alone = await exact.loadParameters([graph], source);
    await using plain = await exact.compile(graph, alone);
    return (await logits(plain, [[text, undefined]]))[0]!; // of one sequence
  };
  for (const [i, [text, name]] of batch.entries()) {
    const exact = await exactly(text, name === undefined ? weights : await merged(weights, adapters[name]));
    const { perRow } = tolerances[i]!; // one for each
    const share = worstShare(values[i]!, { exact, perRow });
    must(share <= 1, `${format}: sequence ${i} is ${share} times as far from merged weights as it may be`);
  }
}

export const adapterCases: readonly DeviceCase[] = [
  {
    name: "adapters change the sequences that name them, and no others",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { program, parameters } = subject;
      const stream = random("device", 3);
      const name = "layers.1.attention.wq.weight";
      const [rows = 0, columns = 0] = parameters.weights.get(name)!.shape; // the model has it
      const low = memoryWeights([
        randomWeight(`${name}.lora_a`, [2, columns], "f32", stream),
        randomWeight(`${name}.lora_b`, [rows, 2], "f32", stream),
      ]);
      const given = tokens(4);
      const submit = (...adapters: readonly (string | undefined)[]) =>
        program.submit({
          inputs: { tokens: Int32Array.from(adapters.flatMap(() => [...given])) },
          sequences: adapters.map((adapter) => ({ rows: 4, ...(adapter !== undefined && { adapter }) })),
          outputs: [{ value: "logits", rows: "last", to: "host" }],
        });
      await mustThrow("ERR_GRAPH", () => submit("poet"), "an adapter that there is not");
      const [plain] = rowsOf((await submit(undefined).result)[0]);
      const adapter = await parameters.addAdapter("poet", low, { scale: 3 });
      const [first, second, third] = rowsOf((await submit(undefined, "poet", undefined).result)[0]);
      mustEqual([first, third], [plain, plain], "sequences without it");
      must(JSON.stringify(second) !== JSON.stringify(plain), "the sequence with it");
      await mustThrow("ERR_OPTION", () => parameters.addAdapter("poet", low), "a second one of the same name");
      adapter[Symbol.dispose]();
      await mustThrow("ERR_GRAPH", () => submit("poet"), "an adapter that was removed");
    },
  },
  {
    name: "two adapters of one step give each sequence what it has alone, and what merged weights give",
    needs,
    async run(device) {
      for (const format of ["f32", "q4_0"] as const) if (device.formats.has(format)) await mustMerge(device, format);
    },
  },
  {
    name: "adapters come and go while programs use them",
    needs,
    async run(device) {
      const graph = llamaGraph(smallConfig);
      const weights = memoryWeights(randomWeights(graph, "f32", random("adapted", 2)));
      const [one, two, three] = [1, 2, 20].map((rank) => adapterOf(graph, rank, "f32", (name) => /w[ko3]/.test(name)));
      const last = async (on: Program, name: string): Promise<readonly number[]> => [
        ...(await logits(on, [[0, name]]))[0]!.data, // of one sequence
      ];
      /** What the last one gives on parameters that never had others than these. */
      const fresh = async (named: readonly (readonly [string, Adapter])[]): Promise<readonly number[]> => {
        using parameters = await device.loadParameters([graph], weights);
        await using program = await device.compile(graph, parameters);
        for (const [name, { source, scale }] of named) await parameters.addAdapter(name, source, { scale });
        return await last(program, named.at(-1)![0]); // before they are disposed; there is at least one
      };
      const expected = {
        first: await fresh([["a", one!]]), // three were made
        second: await fresh([
          ["a", one!],
          ["b", two!],
        ]),
        third: await fresh([
          ["b", two!],
          ["a", three!],
        ]),
      };
      must(new Set(Object.values(expected).map(String)).size === 3, "three adapters give three results");
      using parameters = await device.loadParameters([graph], weights);
      await using program = await device.compile(graph, parameters);
      const first = await parameters.addAdapter("a", one!.source, { scale: one!.scale });
      mustEqual(await last(program, "a"), expected.first, "the first one");
      using _ = await parameters.addAdapter("b", two!.source, { scale: two!.scale });
      mustEqual(await last(program, "b"), expected.second, "a second one");
      // Submitted before the first one is removed, and the third comes in its place.
      const before = await last(program, "a");
      const under = [logits(program, [[0, "a"]]), logits(program, [[0, "b"]])];
      first[Symbol.dispose]();
      first[Symbol.dispose]();
      using _third = await parameters.addAdapter("a", three!.source, { scale: three!.scale });
      const ended = (await Promise.all(under)).map(([value]) => [...value!.data]); // of one sequence each
      mustEqual(ended, [before, expected.second], "steps under way");
      mustEqual(await last(program, "a"), expected.third, "another of that name");
      await using later = await device.compile(graph, parameters);
      mustEqual(await last(later, "a"), expected.third, "a later program");
      // Decoding: rows of several sequences at once, each behind its own keys and values.
      using pool = device.cachePool(cacheSpec(graph), { rows: 16, sequences: 4 });
      const names = ["a", undefined, "b"] as const;
      const decode = async (which: readonly number[]): Promise<readonly (readonly number[])[]> => {
        const caches = which.map(() => pool.open());
        const step = (ids: readonly Int32Array[]) => ({
          inputs: { tokens: Int32Array.from(ids.flatMap((own) => [...own])) },
          sequences: which.map((text, i) => {
            const adapter = names[text];
            const [rows, cache] = [ids[i]!.length, caches[i]!]; // one for each
            return { rows, cache, ...(adapter !== undefined && { adapter }) };
          }),
          outputs: [{ value: "logits", rows: "last", to: "host" }] as const,
        });
        await program.submit(step(which.map((text) => given[text]!))).result; // numbers of prompts
        const [value] = await program.submit(step(which.map(() => Int32Array.of(9)))).result;
        for (const cache of caches) cache[Symbol.dispose]();
        return rowsOf(value);
      };
      const together = await decode([0, 1, 2]);
      for (const text of [0, 1, 2]) mustEqual(together[text], (await decode([text]))[0], `decoding ${names[text]}`);
      if (!device.features.outputs.includes("token")) return;
      // A token that a step draws is the input of the next one, before it is known.
      const [ids, drawing, reading] = [given[0]!, pool.open(), pool.open()]; // three prompts
      const own = (cache: SequenceCache, rows: number) => [{ rows, cache, adapter: "a" }];
      const logitsOf = (tokens: Int32Array | DeviceTensor, cache: SequenceCache) =>
        program.submit({ inputs: { tokens }, sequences: own(cache, 1), outputs: [lastLogits] }).result;
      const inputs = { tokens: ids };
      const drawn = program.submit({ inputs, sequences: own(drawing, ids.length), outputs: [draws(1)] });
      const [ahead] = await logitsOf(drawn.tokens!, drawing); // of a token output
      const chosen = tokensOf((await valuesOf(drawn))[0]);
      await program.submit({ inputs, sequences: own(reading, ids.length), outputs: [] }).result;
      const [behind] = await logitsOf(Int32Array.from(chosen), reading);
      mustEqual(rowsOf(ahead), rowsOf(behind), "behind a token that was drawn");
      for (const cache of [drawing, reading]) cache[Symbol.dispose]();
    },
  },
];
