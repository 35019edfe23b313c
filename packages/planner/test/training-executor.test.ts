// What becomes of parameters where a step that updates them is stopped, or fails, with a backend that computes nothing.

import { adamWGraph, adamWSettings, momentsOf, PolyllamaError } from "@polyllama/core";
import { SharedParameters, type TensorStorage, type TrainingBackend, TrainingExecutor } from "@polyllama/planner";
import { expect, test } from "vitest";
import { ProgramFrame } from "../src/frame/program-frame.ts";
import { StepQueue } from "../src/frame/step-queue.ts";

const spec = { name: "w", shape: [2, 3] };
const optimizer = adamWGraph([spec]);
const names = ["w", ...momentsOf("w")];

type Acts = Partial<Pick<TrainingBackend<TensorStorage>, "writer"> & { update: () => Promise<void> }>;

/** A program of AdamW, whose results are all copied into the weights where they are not written in place. */
function setUp({ writer, update }: Acts, inPlace: boolean) {
  const owner = {};
  const weights = new Map(names.map((name) => [name, { name, shape: spec.shape, format: "f32" } as const]));
  const storage = { weights, bytes: 0, free: () => undefined };
  const parameters = new SharedParameters(storage, owner, { mutable: true, onFree: () => undefined });
  const written: string[] = [];
  const backend: TrainingBackend<TensorStorage> = {
    name: "fake",
    owns: () => false,
    isTensor: (_): _ is TensorStorage => false,
    allocate: () => ({ read: async () => Float32Array.of(1), free: () => undefined }),
    run: async () => ({
      notFinite: false,
      isInPlace: () => inPlace,
      read: async () => new Float32Array(6),
      update: update ?? (async () => undefined),
      free: () => undefined,
    }),
    writer: writer ?? ((weight) => () => void written.push(weight)),
    free: () => undefined,
  };
  const register = { opened: () => undefined, closed: () => undefined };
  const executor = new TrainingExecutor(optimizer.graph, parameters, backend, register);
  const queue = new StepQueue();
  const program = new ProgramFrame({
    graph: optimizer.graph,
    parameters,
    owner,
    queue,
    executor,
    onDispose: () => undefined,
  });
  const inputs = { [optimizer.gradients.get("w")!]: new Float32Array(6), settings: adamWSettings(0.1, 1) }; // of w
  const step = { inputs, sequences: [], outputs: [], updates: optimizer.updates };
  return { program, parameters, written, submit: (signal?: AbortSignal) => program.submit(step, signal).result };
}

test("an abort before writing changes nothing, and one while it writes comes too late", async () => {
  const before = new AbortController();
  const writer = (weight: string) => {
    before.abort(new Error("stopped"));
    return () => void refusing.written.push(weight);
  };
  const refusing = setUp({ writer }, false);
  await expect(refusing.submit(before.signal)).rejects.toThrow("stopped");
  expect([refusing.written, refusing.parameters.version]).toEqual([[], 0]);

  const late = new AbortController();
  const { submit, parameters } = setUp({ update: async () => late.abort(new Error("stopped")) }, true);
  expect(await submit(late.signal)).toEqual([]);
  expect(parameters.version).toBe(1);
});

test("a weight that cannot be written is refused before any is", async () => {
  const { submit, parameters, written } = setUp(
    {
      writer: (weight) => {
        if (weight === names[2]) throw new PolyllamaError("ERR_PARAMETERS", `${weight} is fixed.`);
        return () => void written.push(weight);
      },
    },
    false,
  );
  await expect(submit()).rejects.toThrow("is fixed");
  expect([written, parameters.version]).toEqual([[], 0]);
  parameters.assertWhole();
});

test.each([true, false])("an update that fails makes the parameters unusable (in place: %s)", async (inPlace) => {
  const lost = (): never => {
    throw new PolyllamaError("ERR_BACKEND", "device lost");
  };
  const { submit, parameters } = setUp(inPlace ? { update: async () => lost() } : { writer: () => lost }, inPlace);
  await expect(submit()).rejects.toMatchObject({ code: "ERR_PARAMETERS", cause: { message: "device lost" } });
  expect(parameters.version).toBe(0);
  expect(() => submit()).toThrow(/cut short/);
});
