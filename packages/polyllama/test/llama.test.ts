import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import { type Checkpoint, openCheckpoint } from "@polyllama/checkpoints";
import {
  estimateTolerance,
  forwardDevice,
  forwardDeviceProgram,
  type Tolerance,
  worstShare,
} from "@polyllama/conformance";
import {
  ContextOverflowError,
  llamaGraph,
  mostProbable,
  PolyllamaError,
  type RopeScaling,
  type Tensor,
  type Tokenizer,
} from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Piece } from "../src/generation/generate.ts";
import { Llama } from "../src/index.ts";

const createCpu = (): Device => cpu({ threads: 2, activations: "f32" });
const poem = "春夜\n李白\n";
const tale = "Once upon a time there was a little girl who lived in a small house near the forest with her mother and";

/** What a checkpoint's logits are, and how far a backend may be from them. */
function toleranceOf(checkpoint: Checkpoint, ids: readonly number[], { roundings }: Device): Promise<Tolerance> {
  const inputs = { tokens: Int32Array.from(ids) };
  return estimateTolerance(llamaGraph(checkpoint.config), checkpoint, { inputs }, "logits", roundings, { runs: 4 });
}

async function text(stream: AsyncIterable<Piece>): Promise<string> {
  let whole = "";
  for await (const piece of stream) whole += piece.text;
  return whole;
}

test.each([{ tokenizer: "a.model" }, { keep: true }, { sha256: "0" }, { hub: {} }])(
  "a checkpoint that is open refuses %j",
  async (option) => {
    await using checkpoint = await openCheckpoint(poet);
    const load = Llama.load(checkpoint, { backend: reference(), ...option });
    await expect(load).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(load).rejects.toThrow(`${Object.keys(option)[0]} is for opening a checkpoint`);
  },
);

test("a context that does not fit is refused before weights are read, with the one that would", async () => {
  await using whole = await openCheckpoint(poet);
  const read = async (): Promise<never> => expect.unreachable("weights were read");
  const device = reference();
  const rows = 112; // whole blocks
  const { weights, cache, scratch } = device.estimateMemory(llamaGraph(whole.config), whole.weights, rows);
  const backend = forwardDevice(device, {
    memory: async () => ({ allocated: 0, free: weights + cache + scratch }),
  });
  const refused = { code: "ERR_MEMORY", fittingContext: rows };
  await expect(Llama.load({ ...whole, read }, { backend })).rejects.toMatchObject(refused);
  await using llama = await Llama.load(whole, { backend, contextLength: rows });
  expect(llama.contextLength).toBe(rows);
});

test("a backend prepares the logits of last rows, which are all that a text reads", async () => {
  const device = reference();
  const asked = vi.fn();
  const backend = forwardDevice(device, {
    async compile(graph, parameters, options) {
      const program = await device.compile(graph, parameters, options);
      asked(options?.outputs?.map(({ value, rows }) => ({ value, rows })));
      return forwardDeviceProgram(program, {
        submit(step, signal) {
          asked(
            step.outputs.map((output) => ({ value: output.value, rows: "rows" in output ? output.rows : undefined })),
          );
          return program.submit(step, signal);
        },
      });
    },
  });
  await using llama = await Llama.load(poet, { backend });
  await llama.complete("a", { maxTokens: 2, ignoreEos: true });
  const last = { value: "logits", rows: "last" };
  expect(asked.mock.calls).toEqual([[[last, last]], [[last]], [[last]]]);
});

describe("stretched contexts", () => {
  const dynamic: RopeScaling = { type: "dynamic", factor: 4, originalContextLength: 2048, contextLength: 2048 };

  test("reach as far as the scaling does, and no further", async () => {
    await using whole = await openCheckpoint(poet);
    const checkpoint = { ...whole, config: { ...whole.config, ropeScaling: dynamic } };
    await expect(Llama.load(checkpoint, { backend: reference(), contextLength: 8193 })).rejects.toThrow(/1 to 8192/);
    await using llama = await Llama.load(checkpoint, { backend: reference(), contextLength: 8192 });
    expect(llama.contextLength).toBe(8192);
    expect(llama.config.ropeScaling).toEqual({ ...dynamic, contextLength: 8192 });
    using sequence = llama.createSequence();
    expect(sequence.capacity).toBe(8192);
  });

  test("dynamic scaling turns by the base of the context that was chosen, on every backend", async () => {
    await using checkpoint = await openCheckpoint(poet);
    const { config } = checkpoint;
    const { headDim } = config;
    // 4 * 8192 / 2048 - 3 = 13 times as slow in the slowest pair.
    const ropeTheta = config.ropeTheta * 13 ** (headDim / (headDim - 2));
    const changed = { ...checkpoint, config: { ...config, ropeTheta } };
    const scaled = { ...checkpoint, config: { ...config, ropeScaling: dynamic } };
    const ids = [1, 500, 600, 700, 800];
    const logits = async (from: Checkpoint, backend: Device, contextLength?: number): Promise<Tensor> => {
      await using llama = await Llama.load(from, { backend, ...(contextLength !== undefined && { contextLength }) });
      const [tensor] = await llama.values(ids, ["logits"]);
      return tensor!;
    };
    const expected = await toleranceOf(changed, ids, createCpu());
    const unscaled = await logits(checkpoint, reference());
    expect((await logits(scaled, reference())).data).toEqual(unscaled.data);
    expect(worstShare(unscaled, expected)).toBeGreaterThan(1);
    for (const backend of [reference(), createCpu()]) {
      expect(worstShare(await logits(scaled, backend, 8192), expected)).toBeLessThanOrEqual(1);
    }
  });
});

describe.each([
  ["reference", reference],
  ["cpu", createCpu],
])("on %s", (_name, createBackend: () => Device) => {
  let llama: Llama;
  let tokenizer: Tokenizer;
  let prompt: readonly number[];
  /** Of the logits behind the prompt. */
  let last: Tolerance;
  beforeAll(async () => {
    const backend = createBackend();
    llama = await Llama.load(poet, { backend });
    tokenizer = llama.tokenizer;
    prompt = tokenizer.encode(tale);
    await using checkpoint = await openCheckpoint(poet);
    const { exact, perRow } = await toleranceOf(checkpoint, prompt, backend);
    const [rows, width] = exact.shape;
    const data = exact.data.slice((rows - 1) * width);
    last = { exact: { shape: [1, width], data }, perRow: perRow.slice(rows - 1) };
  });
  afterAll(() => llama.dispose());

  test("the stream is the decoded continuation, and a seed repeats it", async () => {
    const options = { seed: 3, maxTokens: 20 };
    const { text: whole, ids, promptIds, finish } = await llama.complete(poem, options);
    expect(promptIds[0]).toBe(tokenizer.bos);
    expect(finish).toBe("length");
    expect(ids).toHaveLength(20);
    expect(tokenizer.decode([...promptIds, ...ids])).toBe(poem + whole);
    expect(await text(llama.generate(poem, options))).toBe(whole);
    expect(await text(llama.generate(poem, { ...options, seed: 4 }))).not.toBe(whole);
  });

  test("an empty prompt starts from BOS alone", async () => {
    const { promptIds, ids } = await llama.complete("", { maxTokens: 3, temperature: 0 });
    expect(promptIds).toEqual([tokenizer.bos]);
    expect(ids).toHaveLength(3);
  });

  test("chunks of 1, 7, 64 and the whole give the same logits", async () => {
    for (const chunk of [1, 7, 64, 512]) {
      await using chunked = await Llama.load(poet, { backend: createBackend(), chunk });
      using sequence = chunked.createSequence();
      const logits = await sequence.continueTo(prompt);
      expect(worstShare({ shape: [1, logits.length], data: logits }, last)).toBeLessThanOrEqual(1);
    }
  });

  test("rewinding and going on gives the same tokens", async () => {
    using sequence = llama.createSequence();
    const options = { sequence, seed: 11, maxTokens: 24 };
    const first = await llama.complete(tale, options);
    sequence.truncate(prompt.length - 5);
    expect((await llama.complete(tale, options)).ids).toEqual(first.ids);
  });

  test.each([undefined, 1])(
    "a stream that is left holds all tokens that were taken but the last (logprobs %s)",
    async (logprobs) => {
      for (const count of [1, 4]) {
        using sequence = llama.createSequence();
        const taken: number[] = [];
        for await (const { id } of llama.generate(prompt, {
          sequence,
          seed: 3,
          maxTokens: 24,
          ...(logprobs !== undefined && { logprobs }),
        })) {
          if (taken.push(id) === count) break;
        }
        expect(sequence.tokens).toEqual([...prompt, ...taken.slice(0, -1)]);
      }
    },
  );

  test("a fork does not disturb its parent", async () => {
    using parent = llama.createSequence();
    await parent.continueTo(prompt);
    const expected = await llama.complete(prompt, { temperature: 0, maxTokens: 10 });
    using child = await parent.fork();
    expect(child.tokens).toEqual(parent.tokens);
    await text(
      llama.generate([...prompt, ...tokenizer.encode("夜夜夜", { bos: false })], { sequence: child, maxTokens: 8 }),
    );
    const continued = await llama.complete(prompt, { sequence: parent, temperature: 0, maxTokens: 10 });
    expect(continued.ids).toEqual(expected.ids);
  });

  test("concurrent streams do not disturb each other", async () => {
    const alone = [
      await llama.complete(poem, { seed: 1, maxTokens: 12 }),
      await llama.complete(tale, { seed: 2, maxTokens: 12 }),
    ];
    const together = await Promise.all([
      llama.complete(poem, { seed: 1, maxTokens: 12 }),
      llama.complete(tale, { seed: 2, maxTokens: 12 }),
    ]);
    expect(together.map(({ ids }) => ids)).toEqual(alone.map(({ ids }) => ids));
  });

  test("inner values can be asked for by name", async () => {
    const [out, norm, logits] = await llama.values(prompt, ["layers.2.out", "norm", { value: "logits", rows: "last" }]);
    expect(out?.shape).toEqual([prompt.length, 256]);
    expect(norm?.shape).toEqual([prompt.length, 256]);
    expect(logits?.shape).toEqual([1, 6144]);
    expect(worstShare(logits!, last)).toBeLessThanOrEqual(1);
  });

  test("a stop sequence ends the text before it", async () => {
    const { text: whole } = await llama.complete(tale, { temperature: 0, maxTokens: 30 });
    const stop = whole.slice(10, 14);
    const stopped = await llama.complete(tale, { temperature: 0, maxTokens: 30, stop });
    expect(stopped.text).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(stopped.finish).toBe("stop");
  });

  test("every end token of the checkpoint ends the text, unless ends are given or ignored", async () => {
    await using whole = await openCheckpoint(poet);
    const { ids } = await llama.complete(tale, { temperature: 0, maxTokens: 12 });
    const own = ids[5]!;
    const ends = [...whole.text.ends, { id: own, from: ["generation_config.json: eos_token_id"] }];
    await using other = await Llama.load({ ...whole, text: { ...whole.text, ends } }, { backend: createBackend() });
    const options = { temperature: 0, maxTokens: 12 };
    expect(await other.complete(tale, options)).toMatchObject({
      ids: ids.slice(0, ids.indexOf(own) + 1),
      finish: "eos",
    });
    expect((await other.complete(tale, { ...options, ends: [2] })).ids).toEqual(ids);
    const ignoring = await other.complete(tale, { ...options, ignoreEos: true });
    expect(ignoring).toMatchObject({ finish: "length" });
    expect(ignoring.ids.slice(0, 12)).toEqual(ids);
    const stopped = await other.complete(tale, { ...options, ignoreEos: true, stopTokens: [own] });
    expect(stopped).toMatchObject({ ids: ids.slice(0, ids.indexOf(own) + 1), finish: "stop" });
    const name = tokenizer.piece(own);
    expect((await other.complete(tale, { ...options, ignoreEos: true, stopTokens: [name] })).ids).toEqual(stopped.ids);
  });

  test("tokens that do not exist are refused at once", () => {
    const options = { stopTokens: ["<|im_end|>"] };
    const message = /stopTokens: there is no token "<\|im_end\|>"; ids go from 0 to 6143/;
    expect(() => llama.generate(tale, options)).toThrow(message);
    expect(() => llama.chat([{ role: "user", content: "Hi" }], options)).toThrow(message);
  });

  test("the end of the context ends the text", async () => {
    await using short = await Llama.load(poet, { backend: createBackend(), contextLength: prompt.length + 5 });
    const { ids, finish } = await short.complete(tale, { ignoreEos: true, seed: 1 });
    expect(finish).toBe("context");
    expect(ids).toHaveLength(6); // the last one needs no place in the cache
  });

  test("a prompt longer than the context is refused with both numbers", async () => {
    await using short = await Llama.load(poet, { backend: createBackend(), contextLength: 8 });
    const failure = short.complete(tale).catch((error: unknown) => error);
    expect(await failure).toBeInstanceOf(ContextOverflowError);
    expect(await failure).toMatchObject({ code: "ERR_CONTEXT", needed: prompt.length, available: 8 });
    expect((await short.complete("a", { maxTokens: 2 })).ids).toHaveLength(2);
  });

  test("logprobs are those of the chosen tokens", async () => {
    for await (const { id, logprob, top } of llama.generate(tale, { temperature: 0, maxTokens: 4, logprobs: 3 })) {
      expect(top).toHaveLength(3);
      expect(top?.[0]).toEqual({ id, logprob });
      expect(logprob).toBeLessThan(0);
    }
  });

  test("leaving a stream early keeps the model usable", async () => {
    for await (const _ of llama.generate(tale, { maxTokens: 50 })) break;
    expect((await llama.complete(poem, { seed: 3, maxTokens: 5 })).ids).toHaveLength(5);
  });

  test("an aborted stream throws the signal's reason, and the model stays usable", async () => {
    const before = await llama.complete(tale, { temperature: 0, maxTokens: 6 });
    const controller = new AbortController();
    const reason = new Error("enough");
    const run = async () => {
      for await (const _ of llama.generate(tale, { maxTokens: 50, signal: controller.signal }))
        controller.abort(reason);
    };
    await expect(run()).rejects.toBe(reason);
    await expect(llama.complete(poem, { signal: controller.signal })).rejects.toBe(reason);
    expect((await llama.complete(tale, { temperature: 0, maxTokens: 6 })).ids).toEqual(before.ids);
  });

  test("wrong options are refused at once, by name", () => {
    const unknown: object = { maxtokens: 3 };
    expect(() => llama.generate("a", unknown)).toThrow(/"maxtokens".*maxTokens/);
    expect(() => llama.generate("a", { maxTokens: 0 })).toThrow(/maxTokens must be an integer at least 1, not 0/);
    expect(() => llama.chat([{ role: "assistant", content: "a" }])).toThrow(PolyllamaError);
    expect(() => llama.createSequence(2049)).toThrow(/capacity must be an integer from 1 to 2048/);
  });

  test("ids outside the vocabulary are refused", async () => {
    await expect(llama.complete([1, 6144])).rejects.toThrow(/no token 6144/);
  });

  test("chat reads the next turn only, and gives what a fresh reading gives", async () => {
    const messages = [{ role: "user", content: "Hello" } as const];
    const answer = await text(llama.chat(messages, { temperature: 0, maxTokens: 12, ignoreEos: true }));
    const next = [
      ...messages,
      { role: "assistant", content: answer } as const,
      { role: "user", content: "Again" } as const,
    ];
    const warm = await text(llama.chat(next, { temperature: 0, maxTokens: 8, ignoreEos: true }));
    using sequence = llama.createSequence();
    expect(await text(llama.chat(next, { temperature: 0, maxTokens: 8, ignoreEos: true, sequence }))).toBe(warm);
    expect(warm).not.toMatch(/^ /); // which the first piece of a text has
  });
});

test("a disposed model says so", async () => {
  const llama = await Llama.load(poet, { backend: reference() });
  await llama.dispose();
  await llama.dispose();
  expect(() => llama.generate("a")).toThrow(/disposed/);
});

test("loading without a backend, with unknown options or too long a context is refused", async () => {
  await expect(Llama.load(poet, {} as Parameters<typeof Llama.load>[1])).rejects.toThrow(/needs a backend/);
  const unknown = { backend: reference(), gpu: true };
  await expect(Llama.load(poet, unknown)).rejects.toThrow(/unknown option "gpu"/);
  await expect(Llama.load(poet, { backend: reference(), contextLength: 2049 })).rejects.toThrow(/from 1 to 2048/);
});

test("aborting in the middle of a long prompt returns soon and leaves the model usable", async () => {
  const location = "synthetic://tinyllama-1.1b?seed=1&format=q4_0&layers=1&context=4096";
  await using llama = await Llama.load(location, {
    backend: cpu({ threads: 2 }),
    chunk: 128,
  });
  const prompt = Array.from({ length: 2000 }, (_, i) => 300 + ((i * 7919) % 30000));
  const controller = new AbortController();
  let read = 0;
  using sequence = llama.createSequence();
  const reading = sequence.continueTo(prompt, {
    signal: controller.signal,
    onProgress: ({ done }) => {
      read = done;
      if (done >= 384) controller.abort();
    },
  });
  await expect(reading).rejects.toThrow(/abort/i);
  expect(read).toBe(384);
  expect(sequence.tokens).toEqual(prompt.slice(0, 384));
  const resumed = await sequence.continueTo(prompt.slice(0, 450));
  using fresh = llama.createSequence();
  expect(mostProbable(resumed)).toBe(mostProbable(await fresh.continueTo(prompt.slice(0, 450))));
});
