// The worker's side.

import type { Backend, Piece } from "@polyllama/core";
import { Llama } from "../llama.ts";
import { type Answer, type ModelInfo, type RequestMessage, takeApart } from "./protocol.ts";

/** What messages come from and go to: the worker's global scope. */
interface Scope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent<RequestMessage>) => void): void;
}

/**
 * Answers a `WorkerLlama`. To be called once, when the worker starts.
 *
 * @param createBackend Called at each load; the backend is disposed with the model.
 * @example serveLlama(() => webgpu());
 */
export function serveLlama(createBackend: () => Backend | Promise<Backend>): void {
  const scope = globalThis as unknown as Scope; // in a worker, it is one
  const running = new Map<number, AbortController>();
  let loaded: { readonly llama: Llama; readonly backend: Backend } | undefined;

  scope.addEventListener("message", ({ data }) => {
    if (data.do === "abort") running.get(data.call)?.abort();
    else void answer(data);
  });

  async function answer(message: RequestMessage): Promise<void> {
    const { call } = message;
    const tell = (given: Answer): void => scope.postMessage({ ...given, call });
    const controller = new AbortController();
    running.set(call, controller);
    try {
      const result = await carryOut(message, tell, controller.signal);
      tell({ is: "done", ...result });
    } catch (error) {
      tell({ is: "error", error: takeApart(error) });
    } finally {
      running.delete(call);
    }
  }

  async function carryOut(
    message: RequestMessage,
    tell: (answer: Answer) => void,
    signal: AbortSignal,
  ): Promise<Omit<Extract<Answer, { is: "done" }>, "is">> {
    const onProgress = (progress: Extract<Answer, { is: "progress" }>["progress"]): void =>
      tell({ is: "progress", progress });
    switch (message.do) {
      case "load": {
        await dispose();
        const backend = await createBackend();
        try {
          const llama = await Llama.load(message.location, { ...message.options, backend, onProgress, signal });
          loaded = { llama, backend };
          return { model: describe(llama) };
        } catch (error) {
          await backend[Symbol.asyncDispose]();
          throw error;
        }
      }
      case "generate":
        await stream(model().generate(message.prompt, { ...message.options, onProgress, signal }), tell);
        break;
      case "chat":
        await stream(model().chat(message.messages, { ...message.options, onProgress, signal }), tell);
        break;
      case "render":
        return { prompt: await model().renderChat(message.messages, { ...message.options, signal }) };
      case "dispose":
        for (const controller of running.values()) controller.abort();
        await dispose();
    }
    return {};
  }

  function model(): Llama {
    if (loaded === undefined) throw new Error("no model is loaded"); // the client has one only after loading
    return loaded.llama;
  }

  async function dispose(): Promise<void> {
    const before = loaded;
    loaded = undefined;
    await before?.llama.dispose();
    await before?.backend[Symbol.asyncDispose]();
  }
}

async function stream(pieces: AsyncIterable<Piece>, tell: (answer: Answer) => void): Promise<void> {
  for await (const piece of pieces) tell({ is: "piece", piece });
}

function describe({ checkpoint, config, contextLength, loadSeconds, backend }: Llama): ModelInfo {
  const formats: Record<string, number> = {};
  for (const { format } of checkpoint.weights.values()) formats[format] = (formats[format] ?? 0) + 1;
  return { name: checkpoint.name, config, contextLength, loadSeconds, device: backend.describe(), formats };
}
