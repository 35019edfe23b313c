// The library and the backends as the commands use them, without their work.

import { record } from "./record.ts";

const none = async (): Promise<void> => undefined;

function backend(name: string, given: object = {}): object {
  record("backend", { name });
  record(name, given);
  return {
    name,
    features: { updates: true },
    loadParameters: none,
    compile: none,
    describe: () => ({ backend: name, device: "fake", details: {} }),
    estimateMemory: () => ({ weights: 0, cache: 0, scratch: 0 }),
    [Symbol.asyncDispose]: none,
  };
}

export const cpuPackage: object = {
  cpu: (given?: object) => backend("cpu", given),
  instructionSets: () => ["plain"],
};
export const onnxruntimePackage: object = {
  onnxruntime: (given?: object) => backend("onnxruntime", given),
  defaultCacheFolder: () => "/default",
};
export const cudaPackage: object = {
  cuda: Object.assign((given?: object) => backend("cuda", given), {
    copyBandwidth: async (given: object) => record("copyBandwidth", given),
    tensorPeak: async (given: object) => record("tensorPeak", given),
  }),
};
export const webgpuPackage: object = {
  webgpu: (given?: object) => backend("webgpu", given),
  webgpuPlans() {
    record("plans", { backend: "webgpu" });
    return {};
  },
};
export const referencePackage: object = { reference: (given?: object) => backend("reference", given) };

const tokenizer = {
  encode(text: string, options: object = {}) {
    record("encode", { text, ...options });
    return [1];
  },
  decode(ids: readonly number[], options: object = {}) {
    record("decode", { ids, ...options });
    return "text";
  },
  piece: () => "a",
};

export function fakeLlama(): object {
  async function* stream(where: string, first: object, given: object) {
    record(where, { ...first, ...given });
    yield { id: 5, text: "a", logprob: -1, finish: "length" };
  }
  return {
    tokenizer,
    config: { vocabSize: 320 },
    checkpoint: { name: "fake", notices: [], text: { addBos: true, addEos: false } },
    loadSeconds: 0,
    contextLength: 1024,
    generate: (prompt: readonly number[], given: object) => stream("generate", { prompt }, given),
    chat: (messages: readonly object[], given: object) => stream("chat", { messages }, given),
    chatFormat(template?: unknown) {
      record("chatFormat", { template });
      return {};
    },
    renderChat: async (messages: readonly object[], given: object) => {
      record("renderChat", { messages, ...given });
      return { ids: [1], text: "a" };
    },
    async complete(prompt: unknown, given: object) {
      record("complete", { prompt, ...given });
      return { ids: [1, 2, 3, 4], text: "a" };
    },
    async completeChat(messages: readonly object[], given: object) {
      record("completeChat", { messages, ...given });
      return { text: "a" };
    },
    createSequence: () => {
      let run: number[] = [];
      return {
        truncate: () => (run = []),
        async continueTo(tokens: readonly number[]) {
          run.push(tokens.length);
          // One more token than the prompt has, and so on.
          record("sequence", { length: tokens.length, ...(run.length === 1 && { prompt: tokens.length }) });
          return new Float32Array(8);
        },
        [Symbol.dispose]: () => undefined,
      };
    },
    dispose: none,
    [Symbol.asyncDispose]: none,
  };
}

const tiny = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=320&context=256";

/** What of the library the commands call, in its place. */
export function fakeLibrary({
  openCheckpoint,
}: Readonly<Record<"openCheckpoint", (location: string) => Promise<object>>>): object {
  const write = (where: string) => async (dest: string, _: object, given: object) => {
    record(where, { dest, ...given });
    return { files: [dest], bytes: 10, tensors: [] };
  };
  return {
    openCheckpoint: async (location: string, given: object) => {
      record("open", { location, ...given });
      return openCheckpoint(tiny);
    },
    openAdapter: async (path: string) => {
      record("adapter", { path });
      return { name: path, notices: [], [Symbol.asyncDispose]: async () => undefined };
    },
    mergeAdapter: (checkpoint: object, { name }: { readonly name: string }) => {
      record("merge", { adapter: name });
      return checkpoint;
    },
    fitConversation: async (_: object, messages: readonly object[], given: object) => {
      record("fit", given);
      return { messages, dropped: 0, promptTokens: 1 };
    },
    writeGguf: write("writeGguf"),
    writeSafetensors: write("writeSafetensors"),
    compareCheckpoints: async (_: object, __: object, given: object) => {
      record("compare", given);
      const same = { formats: ["f32", "f32"], shapes: [[1], [1]], equalBits: true, agrees: true };
      return {
        agrees: true,
        config: [],
        text: [],
        tensors: [{ name: "same", ...same, maxError: 0, relativeError: 0 }],
      };
    },
    pull: async (address: string, given: object) => {
      record("pull", { address, ...given });
      return { path: "/path" };
    },
    listHub: async (address: string, given: object) => {
      record("list", { address, ...given });
      return { repository: "owner/name", commit: "0123456789", checkpoints: [] };
    },
    readTokenizer: async (path: string) => {
      record("readTokenizer", { path });
      return { tokenizer };
    },
    trainVocabulary: async (lines: AsyncIterable<string>, given: object) => {
      for await (const line of lines) record("train", { line });
      record("train", given);
      return { model: new Uint8Array(1), lines: 1, skipped: 0, characters: 1 };
    },
    mergeVocabularies: (_: object, __: object, base: string, extra: string) => {
      record("merge", { base, extra });
      return { model: new Uint8Array(1), vocabSize: 3, added: [] };
    },
    extendVocabulary: async (base: object, path: string, given: object) => {
      record("extend", { path, ...given });
      return base;
    },
  };
}

export const conformancePackage: object = {
  affordableTokens: () => 1000,
  htmlReport: () => "html",
  compareModel: async (_: object, candidates: readonly { name: string }[], given: object) => {
    record("compareModel", { candidates: candidates.map(({ name }) => name), ...given });
    return { agrees: true, backends: [], tokens: [], opLayers: [], runs: 16 };
  },
};
