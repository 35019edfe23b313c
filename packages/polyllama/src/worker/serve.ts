// The worker's side.

import type { Device } from "@polyllama/core/device";
import type { Piece } from "../generation/generate.ts";
import { Llama } from "../llama.ts";
import { modelDisposed } from "../sequence-model.ts";
import { parentPort } from "./port.ts";
import { type Answer, type ModelInfo, type RequestMessage, takeApart } from "./protocol.ts";

/**
 * Answers a `WorkerLlama`. To be called once, when the worker starts.
 *
 * @param createBackend Called at each load; the backend is disposed with the model.
 * @example serveLlama(() => webgpu());
 */
export function serveLlama(createBackend: () => Device | Promise<Device>): void {
  const port = parentPort();
  const running = new Map<number, AbortController>();
  let turn: Promise<unknown> = Promise.resolve();
  let loaded: { readonly llama: Llama; readonly backend: Device } | undefined;

  port.listen(
    (data) => {
      const message = data as RequestMessage; // the client sends nothing else
      if (message.do === "abort") running.get(message.call)?.abort();
      else void answer(message);
    },
    () => undefined, // what cannot be read has no number to answer to
  );

  async function answer(message: RequestMessage): Promise<void> {
    const { call } = message;
    const tell = (given: Answer): void => port.post({ ...given, call });
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
      case "load":
        return inTurn(async () => {
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
        });
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
        await inTurn(dispose);
    }
    return {};
  }

  /** One load or disposal after another, so that a model that is replaced is freed. */
  function inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = turn.then(action);
    turn = result.catch(() => undefined);
    return result;
  }

  function model(): Llama {
    if (loaded === undefined) throw modelDisposed();
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
