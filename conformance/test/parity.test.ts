// Comparing backends on a real model. Faults are planted around the reference, which then claims the roundings of f32,
// so that nothing but the fault can be found.

import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import { type Checkpoint, openCheckpoint, quantized } from "@polyllama/checkpoints";
import {
  type Graph,
  llamaGraph,
  PolyllamaError,
  type RealArray,
  type RoundingProfile,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { Device, OutputValue, Step } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { forwardDevice, forwardDeviceProgram } from "../src/forward.ts";
import { type Compared, compareModel, estimateTolerance, htmlReport, type ModelComparison } from "../src/index.ts";

const f32: RoundingProfile = { unit: 2 ** -24, flushesSubnormals: false, exp: 4, cache: "f32", sources: ["this test"] };
/** For what does not depend on how well tolerances are estimated. */
const quick = { runs: 3, seed: 3 };

let checkpoint: Checkpoint;
let tokens: readonly number[];
beforeAll(async () => {
  checkpoint = await openCheckpoint(poet);
  tokens = checkpoint.tokenizer!.encode("春夜\n李白\n");
});
afterAll(() => checkpoint[Symbol.asyncDispose]());

interface Fault {
  readonly roundings?: RoundingProfile;
  graph?(graph: Graph): Graph;
  weights?(source: WeightSource): WeightSource;
  /** Changes what a step gives. */
  values?(values: readonly RealArray[], step: Step, graph: Graph): void;
}

function faulty(fault: Fault): Device {
  const device = reference();
  const changed = (graph: Graph): Graph => fault.graph?.(graph) ?? graph;
  return forwardDevice(device, {
    name: "faulty",
    roundings: fault.roundings ?? f32,
    loadParameters: async (graphs, source, options) =>
      device.loadParameters(graphs.map(changed), fault.weights?.(source) ?? source, options),
    async compile(graph, parameters, options) {
      const program = await device.compile(changed(graph), parameters, options);
      return forwardDeviceProgram(program, {
        graph,
        submit(step, signal) {
          const submission = program.submit(step, signal);
          const result = submission.result.then((values) => {
            fault.values?.(values.map(onHost), step, graph);
            return values;
          });
          return { ...submission, result };
        },
      });
    },
  });
}

function onHost(value: OutputValue): RealArray {
  return value.to === "host" ? value.tensor.data : expect.unreachable("a value did not come to the host");
}

/** The source with the sign of one element of an f16 weight turned. */
function signTurned(name: WeightName, row: number, column: number) {
  return (source: WeightSource): WeightSource => ({
    name: source.name,
    weights: source.weights,
    fingerprint: async () => `${await source.fingerprint()} with a turned sign`,
    async read(wanted, ranges, signal) {
      const bytes = await source.read(wanted, ranges, signal);
      const { shape, format } = source.weights.get(wanted)!;
      const { first, count } = ranges?.rows ?? { first: 0, count: Infinity };
      const at = row - first;
      if (wanted === name && at >= 0 && at < count) {
        expect({ format, columns: ranges?.columns }).toEqual({ format: "f16", columns: undefined });
        bytes[2 * (at * shape[1]! + column) + 1]! ^= 0x80;
      }
      return bytes;
    },
  });
}

async function compareOne(device: Device): Promise<Compared> {
  const { backends } = await compareModel(checkpoint, [device], { ...quick, tokens: tokens.slice(0, 4) });
  expect(backends).toHaveLength(1);
  const [only] = backends;
  if (only!.status === "not run") throw new Error(only!.reason);
  return only!;
}

describe("backends that are right", () => {
  let comparison: ModelComparison;
  beforeAll(async () => {
    await using device = cpu({ activations: "f32" });
    comparison = await compareModel(checkpoint, [device], { tokens });
  });

  test("cpu agrees on every operation, every layer and the text", async () => {
    const { agrees, verdict, backends, opLayers } = comparison;
    expect(verdict).toMatch(/^cpu agrees with reference: 48 operations within their bounds/);
    expect(agrees).toBe(true);
    expect(opLayers).toEqual([0, 3, 5]);
    const [{ ops, layers, endToEnd }] = backends as [Compared];
    expect(ops).toHaveLength(3 + 3 * 15);
    expect(new Set(ops.map(({ op }) => op)).size).toBe(7);
    expect(layers.map(({ layer }) => layer)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { worst, values } of layers) {
      expect(values).toHaveLength(15);
      expect(worst).toBeGreaterThan(0); // f32 cannot be exact
    }
    expect(endToEnd.sameToken).toBe(tokens.length);
    expect(endToEnd.worst).toBeGreaterThan(0);
    const step = { inputs: { tokens: Int32Array.from(tokens) } };
    const { roundings } = cpu({ activations: "f32" });
    const graph = llamaGraph(checkpoint.config);
    const { perRow } = await estimateTolerance(graph, checkpoint, step, "logits", roundings, { runs: 4 });
    // Logits that are off by at most d move a distribution by at most (2 d)^2 / 8 (Hoeffding's lemma).
    expect(endToEnd.meanKl).toBeLessThanOrEqual(Math.max(...perRow) ** 2 / 2);
  });

  test("what is found is plain data", () => {
    expect(JSON.parse(JSON.stringify(comparison))).toEqual(comparison);
  });

  test("the report stands alone and holds the verdict, the plot and the tables", () => {
    const html = htmlReport({ ...comparison, model: "<model> & co" }, { date: "today" });
    expect(html).toContain(comparison.verdict);
    expect(html).toContain("&lt;model&gt; &amp; co");
    expect(html).not.toContain("<model>");
    expect(html).not.toMatch(/(src|href)=/);
    expect(html.match(/<circle /g)).toHaveLength(6 + 1 + 1); // layers, logits, legend
    expect(html).toContain("<td>attention_norm</td>");
  });
});

test("rounding activations to int8 is allowed for where it is declared", async () => {
  await using device = cpu({ activations: "int8" });
  const source = { ...quantized(checkpoint, "q8_0"), config: checkpoint.config };
  const options = { ...quick, tokens: tokens.slice(0, 2) };
  const { backends, verdict } = await compareModel(source, [device], options);
  expect(verdict).toMatch(/^cpu agrees/);
  expect(backends).toMatchObject([{ activations: "int8" }]);
  // The same results from a backend that declares f32 are far outside.
  const claim = forwardDevice(device, { name: "claim", roundings: f32 });
  const claimed = await compareModel(source, [claim], options);
  expect(claimed.verdict).toMatch(
    /^claim differs from reference: first in layers\.0, linear \(q\): error \d+x its bound$/,
  );
});

describe("faults are found and named", () => {
  test("one wrong element of one weight, in a layer whose operations are not looked at first", async () => {
    const found = await compareOne(faulty({ weights: signTurned("layers.1.attention.wo.weight", 17, 5) }));
    expect(found.first).toMatchObject({ layer: 1, op: "linear", value: "wo", of: "bound" });
    expect(found.verdict).toMatch(
      /^faulty differs from reference: first in layers\.1, linear \(wo\): error [\d.]+x its bound$/,
    );
    expect(found.layers.filter(({ problem }) => problem !== null).map(({ layer }) => layer)).toEqual([1]);
    expect(found.ops.filter(({ problem }) => problem !== null)).toMatchObject([{ layer: 1, value: "wo" }]);
  });

  test("rotation by another theta", async () => {
    const turn = (graph: Graph): Graph => ({
      ...graph,
      nodes: graph.nodes.map((node) => (node.op === "rope" ? { ...node, theta: node.theta + 1 } : node)),
    });
    const { verdict } = await compareOne(faulty({ graph: turn }));
    expect(verdict).toMatch(/first in layers\.0, rope \(q_rope\): error/);
  });

  test("the output matrix", async () => {
    const values: Fault["values"] = ([logits], _, { outputs }) => {
      if (outputs[0] === "logits") logits![7]! += 1e-3;
    };
    const found = await compareOne(faulty({ values }));
    expect(found.verdict).toMatch(/first in linear \(logits\): error/);
  });

  test("a result that is no number", async () => {
    const values: Fault["values"] = ([value], _, { outputs }) => {
      if (outputs[0] === "layers.3.swiglu") value![4] = Number.NaN;
    };
    const found = await compareOne(faulty({ values }));
    expect(found.verdict).toMatch(/first in layers\.3, swiglu \(swiglu\): row 0, column 4: NaN instead of/);
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  });

  test("what only goes wrong where nothing inside is asked for", async () => {
    const values: Fault["values"] = ([value], step, { nodes, outputs }) => {
      if (nodes.length === 15 && outputs[0] === "layers.2.out" && step.outputs.length === 1) value![0]! += 0.01;
    };
    const { verdict } = await compareOne(faulty({ values }));
    expect(verdict).toMatch(/first in layers\.2 as a whole, though each value in it agrees by itself: error/);
  });

  test("what only goes wrong when tokens come one by one", async () => {
    const values: Fault["values"] = ([logits], { sequences: [first] }) => {
      if (first?.cache !== undefined && first.rows === 1) logits![0]! += 0.1;
    };
    const { verdict, endToEnd } = await compareOne(faulty({ values }));
    expect(verdict).toMatch(/^faulty differs from reference: end to end: logits of row/);
    expect(endToEnd.worstRow).toBeGreaterThanOrEqual(endToEnd.prefilled);
  });

  test("an operation that fails", async () => {
    const graph = (given: Graph): Graph => {
      if (given.nodes.length === 1 && given.nodes[0]!.op === "attention") throw new Error("no memory for scores");
      return given;
    };
    const { verdict, status } = await compareOne(faulty({ graph }));
    expect(status).toBe("differs");
    expect(verdict).toBe(
      "faulty differs from reference: first in layers.0, attention (attention): no memory for scores",
    );
  });

  test("roundings so coarse that too few choices are decided", async () => {
    const { verdict } = await compareOne(faulty({ roundings: { ...f32, unit: 2 ** -9 } }));
    expect(verdict).toMatch(/end to end: the most probable token is beyond rounding in only \d+ of \d+ rows/);
  });
});

test("a backend that cannot run is not run, which is no agreement; the others are compared", async () => {
  const refuse = (): never => {
    throw new PolyllamaError("ERR_UNSUPPORTED", "no device here");
  };
  const refusing = forwardDevice(reference(), { name: "refusing", loadParameters: refuse });
  const options = { ...quick, tokens: tokens.slice(0, 2) };
  const missing = { name: "missing", reason: "no driver" };
  const { agrees, backends, verdict } = await compareModel(checkpoint, [missing, refusing, faulty({})], options);
  expect(agrees).toBe(false);
  expect(backends.map(({ status }) => status)).toEqual(["not run", "not run", "agrees"]);
  expect(verdict).toMatch(/^missing not run: no driver; refusing not run: no device here; faulty agrees/);
  expect((await compareModel(checkpoint, [], options)).agrees).toBe(false);
});

test("an abort ends it with its reason, and progress runs to its end otherwise", async () => {
  const controller = new AbortController();
  const onProgress = (): void => controller.abort("enough");
  const options = { ...quick, tokens: tokens.slice(0, 2), signal: controller.signal };
  await expect(compareModel(checkpoint, [faulty({})], { ...options, onProgress })).rejects.toBe("enough");

  const shares: number[] = [];
  const follow = { ...quick, tokens: tokens.slice(0, 2), layers: [1] };
  await compareModel(checkpoint, [faulty({})], {
    ...follow,
    onProgress: ({ done, total }) => shares.push(done / total),
  });
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(shares.at(-1)).toBe(1);
  expect(shares.at(-2)).toBeGreaterThan(0.99); // what was counted is what was announced
});

test("wrong options are refused", async () => {
  await expect(compareModel(checkpoint, [], { tokens: [] })).rejects.toThrow(/one or more tokens/);
  await expect(compareModel(checkpoint, [], { tokens: [6144] })).rejects.toThrow(
    /token must be an integer from 0 to 6143/,
  );
  await expect(compareModel(checkpoint, [], { tokens, layers: [6] })).rejects.toThrow(/layer must be/);
});
