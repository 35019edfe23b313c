import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { reference } from "@polyllama/backend-reference";
import { openCheckpoint } from "@polyllama/checkpoints";
import { llamaGraph, type WeightSource } from "@polyllama/core";
import type { Device, DeviceTensor, Program, Submission } from "@polyllama/core/device";
import { uniform } from "@polyllama/test-support/random";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { tinyModel } from "@polyllama/test-support/tiny-model";
import { describe, expect, test } from "vitest";
import {
  type Batch,
  type CosineSchedule,
  createTrainer,
  type Example,
  packExamples,
  type TrainedStep,
  train,
} from "../src/index.ts";

const model = tinyModel({ vocabSize: 19, layers: 1 });
const schedule: CosineSchedule = { peak: 0.01, warmup: 2, total: 10, floor: 0.1 };

const next = uniform(3);
const examples = [5, 9, 4, 7].map((size): Example => {
  const ids = Array.from({ length: size }, () => Math.floor(next() * model.config.vocabSize));
  return { ids, counts: ids.map((_, i) => (i === 2 ? 0 : 1)) };
});
const sequences = [...packExamples(examples, { length: 8 })];

function* repeated(batch: Batch): Generator<Batch> {
  while (true) yield batch;
}

interface Run {
  readonly steps: readonly TrainedStep[];
  readonly weights: ReadonlyMap<string, string>;
}

async function run(batch: Batch): Promise<Run> {
  await using device = reference();
  await using trainer = await createTrainer(device, model.graph, model.source);
  const steps: TrainedStep[] = [];
  for await (const step of train(trainer, repeated(batch), schedule)) steps.push(step);
  return { steps, weights: await read(trainer.export()) };
}

/** A digest of each weight. */
async function read(source: WeightSource): Promise<ReadonlyMap<string, string>> {
  const digests = [...source.weights.keys()].map(async (name): Promise<readonly [string, string]> => {
    const bytes = await source.read(name);
    return [name, createHash("sha256").update(bytes).digest("hex")];
  });
  return new Map(await Promise.all(digests));
}

describe("ten steps on the reference", () => {
  const whole: Batch = [sequences];

  test("are the same in a second run, to the last bit, and the loss falls", async () => {
    const [first, second] = [await run(whole), await run(whole)];
    expect(first.steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(second).toEqual(first);
    expect(first.weights.size).toBe(3 * model.graph.weights.length);
    const losses = first.steps.map(({ loss }) => loss);
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
    expect(new Set(losses).size).toBe(10);
    expect(first.steps.at(-1)!.rate).toBe(schedule.peak * schedule.floor);
  });

  test("begin with the loss and gradient norm of the whole batch, however it is cut", async () => {
    const [first] = (await run(whole)).steps;
    const [cut] = (await run(sequences.map((each) => [each]))).steps;
    expect(sequences.length).toBeGreaterThan(2);
    expect(cut!.loss).toBeCloseTo(first!.loss, 12);
    expect(cut!.norm).toBeCloseTo(first!.norm, 12);
  });

  test("go on where a trainer stands, and end with the batches", async () => {
    const expected = await run(whole);
    await using device = reference();
    await using trainer = await createTrainer(device, model.graph, model.source);
    const steps: TrainedStep[] = [];
    for await (const step of train(trainer, [whole, whole, whole], schedule)) steps.push(step);
    expect(trainer.steps).toBe(3);
    for await (const step of train(trainer, repeated(whole), schedule)) steps.push(step);
    for await (const step of train(trainer, repeated(whole), schedule)) steps.push(step); // none
    expect({ steps, weights: await read(trainer.export()) }).toEqual(expected);
  });

  test("a batch without targets is refused, and changes nothing", async () => {
    await using device = reference();
    await using trainer = await createTrainer(device, model.graph, model.source);
    const before = await read(trainer.export());
    const silent = [...packExamples([{ ids: [1, 2, 3], counts: [0, 0, 0] }], { length: 4 })];
    for (const batch of [[], [[]], [silent]]) {
      await expect(trainer.step(batch, 0.1)).rejects.toMatchObject({ code: "ERR_OPTION", option: "batch" });
    }
    expect(trainer.steps).toBe(0);
    expect(await read(trainer.export())).toEqual(before);
  });

  test("leave nothing on the device", async () => {
    await using device = reference();
    const given: DeviceTensor[] = [];
    {
      await using trainer = await createTrainer(watched(device, given), model.graph, model.source);
      expect((await device.memory()).allocated).toBeGreaterThan(0);
      await trainer.step(
        sequences.map((each) => [each]),
        0.01,
      );
      expect(given.length).toBeGreaterThan(model.graph.weights.length);
      for (const tensor of given) await expect(tensor.read()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    }
    expect((await device.memory()).allocated).toBe(0);
  });
});

/** The device; `given` gets all tensors that its steps give. */
function watched(device: Device, given: DeviceTensor[]): Device {
  const submit = (program: Program, ...step: Parameters<Program["submit"]>): Submission => {
    const result = program.submit(...step).result.then((values) => {
      for (const value of values) if (value.to === "device") given.push(value.tensor);
      return values;
    });
    return { result };
  };
  return instead(device, "compile", async (...graph: Parameters<Device["compile"]>) => {
    const program = await device.compile(...graph);
    return instead(program, "submit", (...step: Parameters<Program["submit"]>) => submit(program, ...step));
  });
}

/** An object with one method in the place of its own. */
function instead<Target extends object>(target: Target, name: keyof Target, method: unknown): Target {
  return new Proxy(target, {
    get(_, key) {
      if (key === name) return method;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

interface Golden {
  readonly batch: readonly { readonly ids: readonly number[]; readonly counts: readonly number[] }[];
  readonly adamw: { readonly lr: number; readonly lossAndNorm: readonly (readonly [loss: number, norm: number])[] };
}

describeWithShared("stories260K beside PyTorch in float64", () => {
  test("the first steps of the golden run, packed and in micro-batches, to twelve decimals", async () => {
    const golden: Golden = JSON.parse(readFileSync(shared("reference/training/stories260K.json"), "utf8"));
    await using checkpoint = await openCheckpoint(shared("weights/stories260K.bin"));
    await using device = reference();
    await using trainer = await createTrainer(device, llamaGraph(checkpoint.config), checkpoint);
    const batch = [...packExamples(golden.batch, { length: 64, examples: "whole" })].map((each) => [each]);
    expect(batch.length).toBeGreaterThan(1);
    for (const [loss, norm] of golden.adamw.lossAndNorm.slice(0, 3)) {
      const found = await trainer.step(batch, golden.adamw.lr);
      expect(found.loss).toBeCloseTo(loss, 12);
      expect(found.norm).toBeCloseTo(norm, 12);
    }
  });
});
