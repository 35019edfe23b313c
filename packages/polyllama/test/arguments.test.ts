// What users put in wrong places: refused at once, as an error that names the option, what it takes and what came.

import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import { forwardDevice, forwardDeviceProgram } from "@polyllama/conformance";
import { MemoryError, PolyllamaError } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AbortError, Llama, OptionError } from "../src/index.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await Llama.load(poet, { backend: reference(), contextLength: 64 });
});
afterAll(() => llama.dispose());

/** What a call throws, at once or as a promise. */
async function thrown(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return expect.unreachable("it was accepted");
}

describe("wrong arguments", () => {
  // A user of JavaScript has no types.
  const js = (): Record<"generate" | "complete" | "chat" | "completeChat" | "values" | "createSequence", Call> =>
    llama as never;
  type Call = (...given: unknown[]) => unknown;
  const load = (...given: unknown[]): Promise<unknown> =>
    (Llama.load as unknown as (...all: unknown[]) => Promise<unknown>)(...given);

  test.each<[title: string, call: () => unknown, option: string, received: string, message: RegExp]>([
    ["load()", () => load(), "checkpoint", "undefined", /checkpoint must be a path, a URL/],
    ["load(undefined)", () => load(undefined, { backend: reference() }), "checkpoint", "undefined", /not undefined/],
    ["load(null)", () => load(null, { backend: reference() }), "checkpoint", "null", /not null/],
    ["load(promise)", () => load(Promise.resolve(poet), { backend: reference() }), "checkpoint", "Promise", /Await it/],
    ["no options", () => load(poet), "backend", "undefined", /Llama\.load needs a backend/],
    ["options null", () => load(poet, null), "options", "null", /options must be an object, not null/],
    [
      "a backend that was not called",
      () => load(poet, { backend: cpu }),
      "backend",
      "function",
      /Call it: `backend: cpu\(\)`/,
    ],
    ["a backend's name", () => load(poet, { backend: "cpu" }), "backend", "string", /@polyllama\/backend-cpu/],
    ["a promise of no backend", () => load(poet, { backend: Promise.resolve(3) }), "backend", "number", /not 3/],
    [
      "another name",
      () => load(poet, { backend: reference(), context_length: 8 }),
      "context_length",
      "number",
      /Did you mean "contextLength"\?/,
    ],
    [
      "hub options",
      () => load("hf:a/b", { backend: reference(), hub: { tokn: "x" } }),
      "tokn",
      "string",
      /Llama\.load, hub: unknown option "tokn"\. Did you mean "token"\?/,
    ],
    [
      "stop: 3",
      () => js().generate("a", { stop: 3 }),
      "stop",
      "number",
      /stop must be a string or a list of strings, not 3/,
    ],
    ["stop: null", () => js().generate("a", { stop: null }), "stop", "null", /not null/],
    ["stop: [3]", () => js().generate("a", { stop: ["x", 3] }), "stop", "array", /stop\[1\] must be a string, not 3/],
    ["logitBias: null", () => js().generate("a", { logitBias: null }), "logitBias", "null", /not null/],
    ["logitBias: list", () => js().generate("a", { logitBias: [1] }), "logitBias", "array", /not an array/],
    [
      "logitBias of a text",
      () => js().generate("a", { logitBias: { 5: "1" } }),
      "logitBias",
      "string",
      /token 5 must be a number/,
    ],
    [
      "logitBias of no id",
      () => js().generate("a", { logitBias: new Map([["the", 1]]) }),
      "logitBias",
      "string",
      /"the" is not a token id/,
    ],
    [
      'ignoreEos: "no"',
      () => js().generate("a", { ignoreEos: "no" }),
      "ignoreEos",
      "string",
      /must be true or false, not "no"/,
    ],
    [
      "signal: {}",
      () => js().generate("a", { signal: {} }),
      "signal",
      "object",
      /must be an AbortSignal, not an object/,
    ],
    [
      "a signal as options",
      () => js().generate("a", new AbortController().signal),
      "aborted",
      "boolean",
      /unknown option "aborted"/,
    ],
    [
      "onProgress: true",
      () => js().generate("a", { onProgress: true }),
      "onProgress",
      "boolean",
      /must be a function, not true/,
    ],
    [
      "max_tokens",
      () => js().complete("a", { max_tokens: 3 }),
      "max_tokens",
      "number",
      /complete\(\): .*Did you mean "maxTokens"\?/,
    ],
    ...[{ jinja: 5 }, {}, { jinja: "x", more: "y" }, ""].map(
      (template): [string, () => unknown, string, string, RegExp] => [
        `template: ${JSON.stringify(template)}`,
        () => js().completeChat([{ role: "user", content: "a" }], { template }),
        "template",
        typeof template,
        /template must be the name of a chat format or \{ jinja: a template \}, not/,
      ],
    ),
    ["options: 3", () => js().generate("a", 3), "options", "number", /options must be an object, not 3/],
    ["options: Map", () => js().generate("a", new Map()), "options", "Map", /not a Map/],
    [
      "prompt undefined",
      () => js().generate(undefined),
      "prompt",
      "undefined",
      /prompt must be a string or a list of token ids/,
    ],
    ["prompt object", () => js().complete({ text: "a" }), "prompt", "object", /not an object/],
    [
      "prompt of messages",
      () => js().complete([{ role: "user", content: "a" }]),
      "prompt",
      "array",
      /Messages are for chat\(\)/,
    ],
    ["no tokens", () => js().generate([]), "prompt", "array", /no tokens/],
    ["half a token", () => js().generate([1, 2.5]), "prompt", "array", /prompt/],
    ["token beyond", () => js().generate([1, 6144]), "prompt", "number", /no token 6144 \(prompt\[1\]\)/],
    ['chat("hello")', () => js().chat("hello"), "messages", "string", /complete\(\) or generate\(\)/],
    ["chat of nothing", () => js().chat(), "messages", "undefined", /role: "user"/],
    ["a message null", () => js().chat([null]), "messages[0]", "null", /not null/],
    ["a message without content", () => js().chat([{ role: "user" }]), "messages[0].content", "undefined", /a string/],
    [
      "parts as content",
      () => js().completeChat([{ role: "user", content: [{ type: "text" }] }]),
      "messages[0].content",
      "array",
      /a string/,
    ],
    ['values(ids, "logits")', () => js().values([1], "logits"), "wanted", "string", /Give a list: \["logits"\]/],
    ["values of nothing", () => js().values([1]), "wanted", "undefined", /a list of names/],
    ["values of no ids", () => js().values(undefined, ["logits"]), "ids", "undefined", /a list of token ids/],
    [
      "unknown value",
      () => js().values([1], ["hidden_states"]),
      "wanted[0]",
      "string",
      /has .*layers\.0\.out.*norm, logits.*layers\.1 to layers\.\d/,
    ],
    [
      "misspelt value",
      () => js().values([1], ["layer.1.out"]),
      "wanted[0]",
      "string",
      /Did you mean "layers\.1\.out"\?/,
    ],
    [
      "rows of a value",
      () => js().values([1], [{ value: "logits", rows: "first" }]),
      "wanted[0].rows",
      "string",
      /"last"/,
    ],
    ["capacity", () => js().createSequence("8"), "capacity", "string", /from 1 to 64, not "8"/],
    ["a sequence that is none", () => js().generate("a", { sequence: {} }), "sequence", "object", /createSequence\(\)/],
  ])("%s", async (_title, call, option, received, message) => {
    const error = await thrown(call);
    expect(error).toBeInstanceOf(OptionError);
    expect(error).toMatchObject({ code: "ERR_OPTION", name: "OptionError", option, received });
    expect(String(error)).toMatch(message);
  });

  test("generate and chat throw at once, not while iterating", () => {
    expect(() => js().generate("a", { stop: null })).toThrow(OptionError);
    expect(() => js().chat("hello")).toThrow(OptionError);
  });
});

test("a bias by Map counts as one by object does", async () => {
  const options = { temperature: 0, maxTokens: 3, ignoreEos: true };
  const { ids } = await llama.complete("a", options);
  const other = await llama.complete("a", { ...options, logitBias: { [ids[0]!]: -Infinity } });
  const mapped = await llama.complete("a", { ...options, logitBias: new Map([[ids[0]!, -Infinity]]) });
  expect(mapped.ids).toEqual(other.ids);
  expect(mapped.ids[0]).not.toBe(ids[0]);
});

test("a backend may come as a promise, and one that fails fails the load alone", async () => {
  await using loaded = await Llama.load(poet, { backend: Promise.resolve(reference()) });
  expect(loaded.backend.name).toBe("reference");
  const failing = (): Promise<Device> => Promise.reject(new Error("no adapter"));
  await expect(Llama.load(poet, { backend: failing() })).rejects.toThrow("no adapter");
  await expect(Llama.load(poet, { backend: failing(), chunk: 0 })).rejects.toThrow(/chunk/);
});

describe("sequences", () => {
  test("of another model are refused, also where it is the same checkpoint", async () => {
    await using other = await Llama.load(poet, { backend: reference(), contextLength: 64 });
    using sequence = other.createSequence();
    const refused = { code: "ERR_OPTION", option: "sequence", message: expect.stringMatching(/another model/) };
    expect(() => llama.generate("a", { sequence })).toThrow(expect.objectContaining(refused));
    await expect(llama.complete("a", { sequence })).rejects.toMatchObject(refused);
    await expect(llama.completeChat([{ role: "user", content: "a" }], { sequence })).rejects.toMatchObject(refused);
  });

  test("that were disposed say so", async () => {
    const sequence = llama.createSequence();
    sequence[Symbol.dispose]();
    const disposed = { code: "ERR_DISPOSED", message: expect.stringMatching(/sequence was disposed/) };
    expect(() => llama.generate("a", { sequence })).toThrow(expect.objectContaining(disposed));
    await expect(sequence.continueTo([1])).rejects.toMatchObject(disposed);
    await expect(sequence.fork()).rejects.toMatchObject(disposed);
    expect(() => sequence.truncate(0)).toThrow(expect.objectContaining(disposed));
  });

  test("of a disposed model say that the model was", async () => {
    const gone = await Llama.load(poet, { backend: reference(), contextLength: 8 });
    const sequence = gone.createSequence();
    await gone.dispose();
    await expect(sequence.continueTo([1])).rejects.toMatchObject({
      code: "ERR_DISPOSED",
      message: expect.stringMatching(/model was disposed; load it again/),
    });
  });

  test("several forks at once are copies of the same moment", async () => {
    using parent = llama.createSequence();
    const tokens = [1, 500, 600];
    await parent.continueTo(tokens);
    const pending = Promise.all([parent.fork(), parent.fork(), parent.fork()]);
    await expect(parent.continueTo([1, 700])).rejects.toMatchObject({ code: "ERR_BUSY" });
    const forks = await pending;
    const expected = await parent.continueTo([...tokens, 7]);
    for (const fork of forks) {
      using copy = fork;
      expect(copy.tokens).toEqual(tokens);
      expect(await copy.continueTo([...tokens, 7])).toEqual(expected);
    }
  });

  test("go on where a fork of theirs failed for want of memory", async () => {
    const device = reference();
    let full = false;
    const backend = forwardDevice(device, {
      cachePool(...given) {
        if (full) throw new MemoryError("A cache", 1, "there is no more");
        return device.cachePool(...given);
      },
    });
    await using model = await Llama.load(poet, { backend, contextLength: 16, sequences: 1 });
    using parent = model.createSequence();
    await parent.continueTo([1, 500]);
    full = true;
    await expect(parent.fork()).rejects.toMatchObject({ code: "ERR_MEMORY" });
    await parent.continueTo([1, 500, 600]);
    expect(parent.tokens).toEqual([1, 500, 600]);
  });

  test("for which there is no memory leave nothing of their model behind", async () => {
    const device = reference();
    const backend = forwardDevice(device, {
      cachePool() {
        throw new MemoryError("A cache", 1, "there is no more");
      },
    });
    await expect(Llama.load(poet, { backend, contextLength: 16, sequences: 1 })).rejects.toMatchObject({
      code: "ERR_MEMORY",
    });
    expect(await device.memory()).toMatchObject({ allocated: 0 });
  });

  test("keep keys and values in the format that is asked for", async () => {
    const device = reference();
    const formats = new Set<unknown>();
    const backend = forwardDevice(device, {
      cachePool(spec, size) {
        formats.add(size.format);
        return device.cachePool(spec, size);
      },
    });
    await using model = await Llama.load(poet, { backend, contextLength: 16, sequences: 1, cacheFormat: "f16" });
    using first = model.createSequence();
    using second = model.createSequence(); // which the pool has no room for
    for (const sequence of [first, second]) await sequence.continueTo([1, 500]);
    expect([...formats]).toEqual(["f16"]);
  });

  test("whose format the backend does not have are refused when the model is loaded", async () => {
    const device = reference();
    const backend = forwardDevice(device, {
      cachePool(spec, size) {
        if (size.format === "q8_0") throw new PolyllamaError("ERR_UNSUPPORTED", "no caches in q8_0");
        return device.cachePool(spec, size);
      },
    });
    await expect(Llama.load(poet, { backend, cacheFormat: "q8_0" })).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
    });
    expect(await device.memory()).toMatchObject({ allocated: 0 });
  });

  test("that are being continued are not forked in between", async () => {
    using parent = llama.createSequence();
    const running = parent.continueTo([1, 2]);
    await expect(parent.fork()).rejects.toMatchObject({ code: "ERR_BUSY" });
    await running;
  });
});

test("progress of reading the prompt ends with the prompt", async () => {
  const seen: number[] = [];
  const onProgress = ({ done }: { readonly done: number }): void => void seen.push(done);
  using sequence = llama.createSequence();
  const options = { maxTokens: 4, temperature: 0, ignoreEos: true };
  const pieces = llama.generate([1, 500, 600], { ...options, onProgress, sequence });
  for await (const _ of pieces);
  expect(seen).toEqual([0, 3]);
});

test("an aborted completion throws with what there is", async () => {
  for (const complete of [
    (options: object) => llama.complete("a", options),
    (options: object) => llama.completeChat([{ role: "user", content: "a" }], options),
  ]) {
    const options = { temperature: 0, ignoreEos: true, maxTokens: 30 };
    const whole = await complete(options);
    const controller = new AbortController();
    using sequence = llama.createSequence();
    // Aborts after some tokens, whatever the machine's speed.
    const signal = new Proxy(controller.signal, {
      get(target, name) {
        if (sequence.tokens.length > whole.promptIds.length + 2) controller.abort();
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const error = await thrown(() => complete({ ...options, signal, sequence }));
    expect(error).toBeInstanceOf(AbortError);
    const { partial } = error as AbortError;
    expect(error).toMatchObject({ code: "ERR_ABORTED", name: "AbortError", cause: controller.signal.reason });
    expect(partial.ids.length).toBeGreaterThan(0);
    expect(partial.ids).toEqual(whole.ids.slice(0, partial.ids.length));
    expect(whole.text.startsWith(partial.text)).toBe(true);
    expect(partial.promptIds).toEqual(whole.promptIds);
  }
});

test("a timeout keeps its name", () => {
  const partial = { text: "", ids: [], promptIds: [1], finish: undefined };
  expect(new AbortError(new DOMException("late", "TimeoutError"), partial).name).toBe("TimeoutError");
  expect(new AbortError("enough", partial)).toMatchObject({ name: "AbortError", message: "enough" });
});

test("completeChat gives what chat streams", async () => {
  const messages = [{ role: "user", content: "Hello" }] as const;
  const options = { temperature: 0, maxTokens: 6, ignoreEos: true };
  let text = "";
  for await (const piece of llama.chat(messages, options)) text += piece.text;
  const answer = await llama.completeChat(messages, options);
  expect(answer.text).toBe(text);
  expect(answer.ids).toHaveLength(6);
  expect(answer.finish).toBe("length");
});

test("disposing twice at once waits for the same end, and the checkpoint closes whatever the program does", async () => {
  const events: string[] = [];
  const device = reference();
  const gone = await Llama.load(poet, {
    backend: forwardDevice(device, {
      async compile(...given) {
        const program = await device.compile(...given);
        return forwardDeviceProgram(program, {
          async [Symbol.asyncDispose]() {
            await new Promise((resolve) => setTimeout(resolve, 20));
            events.push("freed");
            throw new Error("the device is gone");
          },
        });
      },
    }),
  });
  const second = Promise.allSettled([gone.dispose(), gone.dispose()]).then((results) => [...results, ...events]);
  const failed = { status: "rejected", reason: new Error("the device is gone") };
  expect(await second).toEqual([failed, failed, "freed"]);
  const [weight] = gone.checkpoint.weights.keys();
  await expect(gone.checkpoint.read(weight!, { rows: { first: 0, count: 1 } })).rejects.toMatchObject({
    code: "ERR_DISPOSED",
  });
});

test("logged, a model is a line; in JSON, a few facts", async () => {
  const { inspect } = await import("node:util");
  using sequence = llama.createSequence(8);
  await sequence.continueTo([1, 2]);
  expect(inspect(llama)).toMatch(/^Llama \{ name: ".*", backend: "reference", contextLength: 64 \}$/);
  expect(inspect(sequence)).toBe("Sequence { tokens: 2, capacity: 8 }");
  expect(JSON.parse(JSON.stringify({ llama, sequence }))).toEqual({
    llama: { name: llama.checkpoint.name, backend: "reference", contextLength: 64 },
    sequence: { tokens: 2, capacity: 8 },
  });
});
