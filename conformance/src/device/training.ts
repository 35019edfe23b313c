// Training: what a device cannot do of it it refuses by name, before anything runs; what it can do are steps that give
// gradients in the shapes of their parameters, and take them back.

import {
  adamWGraph,
  adamWSettings,
  buildGraph,
  type Graph,
  gradient,
  isTraining,
  trainingOps,
  UnsupportedError,
  type WeightSource,
  withLogProbabilities,
  withLora,
  withMoments,
  withNewAdapter,
} from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { compileGradient, runGradient } from "../gradients/run.ts";
import { must, mustEqual, mustThrow } from "../must.ts";
import { memoryWeights } from "../weights.ts";
import type { DeviceCase } from "./case.ts";
import { model, rowsOf, tokens } from "./subject.ts";

/** The graphs of training steps of the model, and its weights with their moments. */
function training() {
  const { graph, weights } = model();
  const graphs = gradient(withLogProbabilities(graph));
  const optimizer = adamWGraph(graph.weights);
  const lora = withLora(graph, { rank: 2, alpha: 4 });
  const adapted = gradient(withLogProbabilities(lora.graph), { weights: lora.trained });
  return { graph, graphs, adapted, optimizer, weights: withNewAdapter(withMoments(weights, graph.weights), lora, 1) };
}

function refused(device: Device, { nodes }: Graph, weights: WeightSource["weights"]) {
  return nodes.flatMap((node) => {
    const answer = device.supports(node, weights);
    return answer === true ? [] : [{ node, answer }];
  });
}

export const trainingCases: readonly DeviceCase[] = [
  {
    name: "graphs of training that a device cannot compute are refused by op and backend",
    needs: ({ features }) => (features.updates ? "it trains" : undefined),
    async run(device) {
      const { graph, graphs, adapted, optimizer, weights } = training();
      const named = new RegExp(device.name, "i");
      const seen = new Set<string>();
      using plain = await device.loadParameters([graph], weights);
      for (const each of [graphs.forward, graphs.backward, adapted.forward, optimizer.graph]) {
        const found = refused(device, each, weights.weights);
        must(found.length > 0, "it computes none of the graphs of training, as it updates nothing");
        for (const { node, answer } of found) {
          seen.add(node.op);
          must(answer instanceof UnsupportedError && answer.op === node.op, `${node.op} is refused by its name`);
          must(named.test(answer.message) && answer.message.includes(node.op), `${node.op}: ${answer.message}`);
          must(isTraining(node), `${node.op} is refused, and is no op of training`);
        }
        await mustThrow("ERR_UNSUPPORTED", () => device.loadParameters([each], weights), "they are not loaded for");
        const known = each.weights.every(({ name }) => plain.weights.has(name));
        if (known) await mustThrow("ERR_UNSUPPORTED", () => device.compile(each, plain), "and not compiled");
      }
      for (const op of trainingOps) must(seen.has(op), `${op} is computed, but nothing can be done with it`);
    },
  },
  {
    name: "steps give gradients of parameters, and update all of them or none",
    needs: ({ features }) => (features.updates ? undefined : "it does not train"),
    async run(device) {
      const { graphs, optimizer, weights } = training();
      const all = [graphs.forward, graphs.backward, optimizer.graph];
      using parameters = await device.loadParameters(all, weights, { mutable: true });
      await using programs = await compileGradient(device, graphs, parameters);
      await using update = await device.compile(optimizer.graph, parameters);
      const ids = tokens(6);
      const step = {
        inputs: { tokens: ids, targets: Int32Array.of(...ids.slice(1), -1) },
        sequences: [{ rows: 4 }, { rows: 2 }],
      };
      const cotangent = Float32Array.from(ids, () => -1);
      const loss = async (): Promise<number> => {
        const { values } = await runGradient(programs, step, () => ({ logProbability: cotangent }));
        return -[...values.get("logProbability")!.data].reduce((sum, value) => sum + value, 0); // differentiated
      };
      const { weights: found } = await runGradient(programs, step, () => ({ logProbability: cotangent }));
      for (const { name, shape } of graphs.forward.weights) {
        const { data, shape: given } = found.get(name)!; // of every weight
        mustEqual(given, shape.length === 1 ? [1, ...shape] : shape, `the gradient of "${name}" has its shape`);
        must(data.some((value) => value !== 0) && data.every(Number.isFinite), `the gradient of "${name}" is one`);
      }
      const submit = (rate: number) => {
        const gradients = [...found].map(([name, { data }]) => [optimizer.gradients.get(name)!, data] as const); // likewise
        const inputs = { ...Object.fromEntries(gradients), [optimizer.settings]: adamWSettings(rate, 1) };
        return update.submit({ inputs, sequences: [], outputs: [], updates: optimizer.updates }).result;
      };
      const before = await loss();
      await mustThrow("ERR_BACKEND", () => submit(Number.NaN), "a rate that is NaN");
      mustEqual([await loss(), parameters.version], [before, 0], "nothing was updated");
      await submit(1e-3);
      must((await loss()) < before, "a step of AdamW makes the loss smaller");
      mustEqual(parameters.version, 1, "an update is counted");
      const wrong = { inputs: { ...step.inputs }, sequences: step.sequences };
      await mustThrow(
        "ERR_GRAPH",
        () => programs.backward.submit({ ...wrong, outputs: [] }),
        "a backward step without what was kept",
      );
      const [name, value] = [...graphs.weights][0]!; // there are weights
      for (const output of [
        { value, rows: "last", to: "host" },
        { value, to: "score", targets: ids },
      ] as const) {
        await mustThrow(
          "ERR_GRAPH",
          () => programs.backward.submit({ ...wrong, outputs: [output] }),
          `rows of "${name}"`,
        );
      }
    },
  },
  {
    name: "values of a fixed shape are outputs and inputs, on the host and on the device",
    needs: ({ features }) => (features.updates ? undefined : "it does not train"),
    async run(device) {
      const graph = buildGraph((g) => [g.add("sum", g.fixed("a", [2, 3]), g.fixed("b", [2, 3]))]);
      using parameters = await device.loadParameters([graph], memoryWeights([]));
      await using program = await device.compile(graph, parameters);
      const b = Float32Array.of(1, 2, 3, 4, 5, 6);
      const kept = [{ value: "sum", rows: "all", to: "device" }] as const;
      const [first] = await program.submit({ inputs: { a: b, b }, sequences: [], outputs: kept }).result;
      must(first?.to === "device", "a value for the device stays there");
      using tensor = first.tensor;
      mustEqual(tensor.shape, [2, 3], "it has its shape");
      const outputs = [{ value: "sum", rows: "all", to: "host" }] as const;
      const [second] = await program.submit({ inputs: { a: tensor, b }, sequences: [], outputs }).result;
      mustEqual(
        rowsOf(second),
        [
          [3, 6, 9],
          [12, 15, 18],
        ],
        "it is an input of the next step",
      );
      for (const a of [b.subarray(1), Int32Array.from(b)]) {
        await mustThrow(
          "ERR_GRAPH",
          () => program.submit({ inputs: { a, b }, sequences: [], outputs }),
          "another shape",
        );
      }
    },
  },
];
