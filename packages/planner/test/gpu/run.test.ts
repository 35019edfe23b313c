// What steps have in common that are computed away from the host: refusals, positions of draws, what becomes of their
// tensors.

import { buildGraph, createSampler, type Graph } from "@polyllama/core";
import type { Draw, Output, Step } from "@polyllama/core/device";
import {
  type GpuTensorStorage,
  gpuRun,
  partsTo,
  SharedParameters,
  type Sink,
  type StepTensor,
  takeOutputRows,
  takeToken,
} from "@polyllama/planner";
import { expect, test } from "vitest";
import { ProgramFrame } from "../../src/frame/program-frame.ts";
import { StepQueue } from "../../src/frame/step-queue.ts";

const graph: Graph = buildGraph((g) => {
  const x = g.embedding("x", g.tokens("tokens"), g.weight("table", [5, 4]));
  return [g.linear("logits", x, g.weight("w", [5, 4]))];
});

type Sinks = readonly Sink<GpuTensorStorage>[];

/** A program whose steps are done by a function. */
function setUp(compute: (sinks: Sinks) => void | Promise<void>, vocabulary?: number) {
  const owner = {};
  const tensors = new Set<Disposable>();
  const program = new ProgramFrame({
    graph,
    parameters: new SharedParameters({ weights: new Map(), bytes: 0, free: () => undefined }, owner, {
      onFree: () => undefined,
    }),
    owner,
    queue: new StepQueue(),
    onDispose: () => undefined,
    executor: {
      owns: () => true,
      free: () => undefined,
      accept: (accepted) =>
        gpuRun(
          {
            name: "toy",
            graph,
            register: { opened: (each) => void tensors.add(each), closed: (each) => void tensors.delete(each) },
            allocate: (elements, choices) => {
              const storage: GpuTensorStorage = {
                vocabulary: choices && (vocabulary ?? choices),
                read: async () => new Float32Array(elements),
                free: () => storage.onFree(),
                onFree: () => undefined,
              };
              return storage;
            },
          },
          accepted,
          async (sinks) => [Promise.resolve(compute(sinks))],
        ),
    },
  });
  return { program, tensors };
}

const draw = createSampler({ seed: 3 }).draw!; // nothing in these options is the host's alone

function step(outputs: readonly Output[], tokens: Step["inputs"][string] = Int32Array.of(0, 1, 2, 3)): Step {
  return { inputs: { tokens }, sequences: [{ rows: 3, position: 7 }, { rows: 1 }], outputs };
}

function token(...draws: readonly Draw[]): Output {
  return { value: "logits", rows: "last", to: "token", draw: draws };
}

test("each draw has the position behind its row, or its own", async () => {
  const positions: (readonly number[])[] = [];
  const { program } = setUp((sinks) => {
    for (const sink of sinks) if (sink.to === "token") positions.push(sink.positions);
  });
  await program.submit(step([token(draw, draw), token({ ...draw, position: 40 }, draw)])).result;
  expect(positions).toEqual([
    [10, 1],
    [40, 1],
  ]);
});

test("values and tokens come in the order of the output's rows, and log-probabilities of the tokens that were taken", async () => {
  const place = { buffer: { id: 0, rows: "all" as const, stride: 8 }, offset: 1, width: 5 };
  const rows = [
    { k: 1, index: 0 },
    { k: 0, index: 1 },
  ];
  const data = Float32Array.from({ length: 16 }, (_, i) => i);
  const { program } = setUp((sinks) => {
    const parts = sinks.map((sink) => ({ sink, place, rows }));
    for (const { sink } of partsTo(parts, "token")) for (const { k } of rows) takeToken(sink, k, 3 - k);
    for (const part of parts) takeOutputRows(part, data);
  });
  const asked = [token(draw, draw), { value: "logits", rows: "last", to: "host" }] as const;
  const [drawn, values] = await program.submit(step([{ ...asked[0], logprobs: 1 } as Output, asked[1]])).result;
  expect(values).toMatchObject({ tensor: { shape: [2, 5], data: Float32Array.of(9, 10, 11, 12, 13, 1, 2, 3, 4, 5) } });
  expect(drawn).toMatchObject({ tokens: Int32Array.of(3, 2), logprobs: [{ top: [{ id: 4 }] }, { top: [{ id: 4 }] }] });
  const all = Math.log([0, 1, 2, 3, 4].reduce((sum, each) => sum + Math.exp(each), 0));
  const chosen = drawn?.to === "token" ? drawn.logprobs?.map(({ logprob }) => logprob) : undefined;
  expect(chosen?.[0]).toBeCloseTo(3 - all, 12);
  expect(chosen?.[1]).toBeCloseTo(2 - all, 12);
});

test("what kernels do not draw or give is refused, and takes no memory", () => {
  const { program, tensors } = setUp(() => undefined);
  const refused = (...outputs: readonly Output[]) => expect(() => program.submit(step(outputs)));
  const adjusted: Draw = { ...draw, logitBias: { 2: 1 } };
  refused(token(draw, adjusted)).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED", op: "token" }));
  refused(token(draw, { ...draw, topP: 2 })).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
  const score: Output = { value: "logits", to: "score", targets: new Int32Array(4) };
  refused(token(draw, draw), score).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED", op: "score" }));
  refused({ value: "tokens", rows: "all", to: "device" }).toThrow(
    expect.objectContaining({ code: "ERR_UNSUPPORTED", message: expect.stringContaining('the input "tokens" back') }),
  );
  expect(tensors.size).toBe(0);
});

test("an input is an output, too, from the host or from the device", async () => {
  const { program } = setUp(() => undefined);
  const wanted: Output = { value: "tokens", rows: "last", to: "host" };
  const first = program.submit(step([wanted, { ...token(draw, draw), rows: { lastPerSequence: [1, 1] } } as Output]));
  expect((await first.result)[0]).toMatchObject({ tensor: { shape: [2, 1], data: Float32Array.of(2, 3) } });
  const inputs = { tokens: first.tokens! };
  const next = { inputs, sequences: [{ rows: 1 }, { rows: 1 }], outputs: [wanted] };
  expect((await program.submit(next).result)[0]).toMatchObject({ tensor: { data: Float32Array.of(0, 0) } });
});

test("a token that is no number fails its step, whose tensors nobody has but the one that was given out", async () => {
  const { program, tensors } = setUp((sinks) => {
    for (const sink of sinks) if (sink.to === "token") takeToken(sink, 0, 0xffffffff);
  });
  const device: Output = { value: "logits", rows: "all", to: "device" };
  const { result, tokens } = program.submit(step([token(draw, draw), token(draw, draw), device]));
  expect(tensors.size).toBe(3);
  await expect(result).rejects.toMatchObject({
    code: "ERR_BACKEND",
    message: expect.stringContaining('"logits" is NaN'),
  });
  expect([...tensors]).toEqual([tokens]);
  tokens?.[Symbol.dispose]();
  expect(tensors.size).toBe(0);
});

test("tokens that were drawn from more than there are rows in the table are refused", async () => {
  const { program } = setUp(() => undefined, 6);
  const { result, tokens } = program.submit(step([token(draw, draw)]));
  await result;
  const inputs = { tokens: tokens as StepTensor }; // this program's
  expect(() => program.submit({ inputs, sequences: [{ rows: 1 }, { rows: 1 }], outputs: [] })).toThrow(
    /drawn from 6 logits; the table "table" has 5 rows/,
  );
});
